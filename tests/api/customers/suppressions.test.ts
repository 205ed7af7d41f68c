import { startTestApi, type TestApi } from '../../support/api';
import { buildTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

const path = '/api/v1/suppressions';

test('adds an address once, whatever its case, and removes it', async () => {
  const { token } = await buildTenant(api.deps);
  const added = await api.send('post', path, { token, json: { address: 'Ana@Example.com' } });
  expect(added.status).toBe(201);
  expect(added.body.data).toMatchObject({
    channel: 'email',
    address: 'ana@example.com',
    reason: 'manual',
  });

  const again = await api.send('post', path, {
    token,
    json: { address: 'ana@example.com', reason: 'complained' },
  });
  expect([again.status, again.body.data]).toEqual([200, added.body.data]);

  const removed = await api.send('delete', `${path}/${added.body.data.id}`, { token });
  expect(removed.status).toBe(204);
  const list = await api.send('get', path, { token });
  expect(list.body).toMatchObject({ data: [], meta: { total: 0 } });
});

test('keeps numbers in E.164, each channel for itself', async () => {
  const { token } = await buildTenant(api.deps);
  const added = await api.send('post', path, {
    token,
    json: { channel: 'sms', address: '+49 (30) 123-456' },
  });
  expect([added.status, added.body.data]).toMatchObject([
    201,
    { channel: 'sms', address: '+4930123456', reason: 'manual' },
  ]);
  const number = { address: '+4930123456' };
  const again = await api.send('post', path, { token, json: { channel: 'sms', ...number } });
  expect([again.status, again.body.data]).toEqual([200, added.body.data]);
  const other = await api.send('post', path, { token, json: { channel: 'whatsapp', ...number } });
  expect(other.status).toBe(201);

  const list = async (query: Record<string, string>) =>
    (await api.send('get', `${path}?${new URLSearchParams(query).toString()}`, { token })).body.meta
      .total;
  expect(await list({ channel: 'sms' })).toBe(1);
  expect(await list({ address: '+49 30 123456' })).toBe(2);
  await api.send('delete', `${path}/${added.body.data.id}`, { token });
  expect(await list({ channel: 'sms' })).toBe(0);
  expect(await list({})).toBe(1);
});

test('lists by address, reason and channel', async () => {
  const { token } = await buildTenant(api.deps);
  for (const [address, reason] of [
    ['a@example.com', 'bounced'],
    ['b@example.com', 'complained'],
  ]) {
    await api.send('post', path, { token, json: { address, reason } });
  }
  const addresses = async (query: string) => {
    const { body } = await api.send('get', `${path}?sort=address&${query}`, { token });
    return body.data.map((row: { address: string }) => row.address);
  };

  expect(await addresses('')).toEqual(['a@example.com', 'b@example.com']);
  expect(await addresses('reason=bounced')).toEqual(['a@example.com']);
  expect(await addresses('address=B@example.com&channel=email')).toEqual(['b@example.com']);
});

test('keeps tenants apart', async () => {
  const [mine, theirs] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const added = await api.send('post', path, {
    token: theirs.token,
    json: { address: 'a@example.com' },
  });

  expect((await api.send('get', path, { token: mine.token })).body.data).toEqual([]);
  const removed = await api.send('delete', `${path}/${added.body.data.id}`, { token: mine.token });
  expect([removed.status, removed.body.code]).toEqual([404, 'suppressionNotFound']);
  expect((await api.send('get', path, { token: theirs.token })).body.meta.total).toBe(1);
});

test.each([
  [{ address: 'nobody' }, 'address', 'wrongEmail'],
  [{ address: 'a@example.com', channel: 'pigeon' }, 'channel', 'notAllowed'],
  [{ address: 'a@example.com', reason: 'mood' }, 'reason', 'notAllowed'],
  [{}, 'address', 'required'],
])('refuses %j', async (json, field, code) => {
  const { token, tenantId } = await buildTenant(api.deps);
  const answer = await api.send('post', path, { token, json });

  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([{ path: field, code }]);
  expect(await api.db('suppressions').where({ tenant_id: tenantId })).toEqual([]);
});

test('a viewer reads and changes nothing', async () => {
  const tenant = await buildTenant(api.deps);
  const token = tenant.tokenOf('viewer');

  expect((await api.send('get', path, { token })).status).toBe(200);
  const added = await api.send('post', path, { token, json: { address: 'a@example.com' } });
  expect(added.status).toBe(403);
});

test('lists what people stopped on other channels', async () => {
  const { token, tenantId } = await buildTenant(api.deps);
  for (const channel of ['sms', 'whatsapp']) {
    await api
      .db('suppressions')
      .insert({ tenant_id: tenantId, channel, address: '+491701234589', reason: 'unsubscribed' });
  }
  const all = await api.send('get', path, { token });
  expect(all.body.meta.total).toBe(2);
  const sms = await api.send('get', `${path}?channel=sms`, { token });
  expect(sms.body.data).toMatchObject([{ channel: 'sms', address: '+491701234589' }]);
});
