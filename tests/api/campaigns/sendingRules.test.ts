import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath, dataOf, postCampaign } from '../../support/campaigns';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';

const path = '/api/v1/sending-rules';
const night = { from: '21:00', to: '08:00' };
const cap = { messages: 2, days: 7, whenCapped: 'later' };
const rules = { quietHours: night, frequencyCaps: { email: cap, sms: null, whatsapp: null } };
const none = { quietHours: null, frequencyCaps: { email: null, sms: null, whatsapp: null } };

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

const put = (tenant: Pick<TestTenant, 'token'>, json: unknown) =>
  api.send('put', path, { token: tenant.token, json });

const stored = async ({ token }: Pick<TestTenant, 'token'>) =>
  dataOf(await api.send('get', path, { token }), 200);

test('a tenant has none until its owner writes some, and only its own', async () => {
  const [tenant, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  expect(await stored(tenant)).toEqual(none);
  expect(dataOf(await put(tenant, rules), 200)).toEqual(rules);
  expect(await stored({ token: tenant.tokenOf('viewer') })).toEqual(rules);
  expect(await stored(other)).toEqual(none);
  expect(dataOf(await put(tenant, none), 200)).toEqual(none);
});

test('nobody writes them without a token, nor as a member', async () => {
  const tenant = await buildTenant(api.deps);
  expect((await api.send('put', path, { json: rules })).status).toBe(401);
  expect((await api.send('get', path)).status).toBe(401);
  expect((await put({ token: tenant.tokenOf('member') }, rules)).status).toBe(403);
  expect(await stored(tenant)).toEqual(none);
});

test.each([
  ['nothing', {}, 'quietHours', 'required'],
  ['no caps', { quietHours: null }, 'frequencyCaps', 'required'],
  [
    'a missing channel',
    { ...none, frequencyCaps: { email: cap } },
    'frequencyCaps.sms',
    'required',
  ],
  [
    'an hour that is none',
    { ...none, quietHours: { ...night, to: '8:00' } },
    'quietHours.to',
    'wrongFormat',
  ],
  [
    'the whole day',
    { ...none, quietHours: { from: '08:00', to: '08:00' } },
    'quietHours',
    'tooLong',
  ],
  [
    'nearly all day',
    { ...none, quietHours: { from: '08:00', to: '07:01' } },
    'quietHours',
    'tooLong',
  ],
  ['no message at all', capped({ messages: 0 }), 'frequencyCaps.email.messages', 'tooSmall'],
  ['a year', capped({ days: 365 }), 'frequencyCaps.email.days', 'tooBig'],
  [
    'an unknown way out',
    capped({ whenCapped: 'never' }),
    'frequencyCaps.email.whenCapped',
    'notAllowed',
  ],
])('refuses %s and changes nothing', async (_, json, field, code) => {
  const tenant = await buildTenant(api.deps);
  await put(tenant, rules);
  const answer = await put(tenant, json);
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toContainEqual(expect.objectContaining({ path: field, code }));
  expect(await stored(tenant)).toEqual(rules);
});

function capped(change: object) {
  return { ...none, frequencyCaps: { ...none.frequencyCaps, email: { ...cap, ...change } } };
}

test('a schedule is frozen with them, or with what it says itself', async () => {
  const tenant = await buildTenant(api.deps);
  await put(tenant, rules);
  const own = { from: '12:00', to: '13:00' };
  const scheduled = async (schedule: object) => {
    const { id } = await postCampaign(api, tenant);
    const answer = await api.send('post', `${campaignsPath}/${id}/schedule`, {
      token: tenant.token,
      json: { schedule: { kind: 'now', ...schedule } },
    });
    return dataOf(answer, 202).run.schedule;
  };
  const base = { kind: 'now', windowMinutes: 60 };
  expect(await scheduled({})).toEqual({ ...base, quietHours: night, frequencyCap: cap });
  expect(await scheduled({ quietHours: own, frequencyCap: null })).toEqual({
    ...base,
    quietHours: own,
  });
  await put(tenant, none);
  expect(await scheduled({ frequencyCap: { messages: 1, days: 1 } })).toEqual({
    ...base,
    frequencyCap: { messages: 1, days: 1, whenCapped: 'later' },
  });
});

test('sending now and moving to another time are held to them as well', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postCampaign(api, tenant);
  const post = (action: string, json: object) =>
    api.send('post', `${campaignsPath}/${id}/${action}`, { token: tenant.token, json });
  const sent = dataOf(await post('send', { quietHours: night }), 202);
  expect(sent.run.schedule).toEqual({ kind: 'now', windowMinutes: 60, quietHours: night });
  await put(tenant, rules);
  const moved = await post('reschedule', { schedule: { kind: 'now' } });
  expect(moved.body.data.run.schedule).toMatchObject({ quietHours: night, frequencyCap: cap });
});

test('a plan shows the waves that they put off', async () => {
  const tenant = await buildTenant(api.deps);
  await buildCustomer(api.deps, { tenant, timeZone: 'Europe/Berlin' });
  await buildCustomer(api.deps, { tenant, timeZone: 'Asia/Tokyo' });
  const { id } = await postCampaign(api, tenant);
  await put(tenant, rules);
  const at = '2027-06-01T12:30:00Z';
  const answer = await api.send('post', `${campaignsPath}/${id}/plan`, {
    token: tenant.token,
    json: { schedule: { kind: 'instant', at } },
  });
  expect(dataOf(answer, 200).waves).toMatchObject([
    { startsAt: '2027-06-01T12:30:00.000Z', waitsFor: null, zones: ['Europe/Berlin'] },
    { startsAt: '2027-06-01T23:00:00.000Z', waitsFor: 'quietHours', zones: ['Asia/Tokyo'] },
  ]);
});
