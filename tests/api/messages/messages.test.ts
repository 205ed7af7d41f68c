import { acrossTenants, withTenant } from '../../../models/base';
import { acceptMessage } from '../../../models/transactional/accept';
import { ensureTestAccount } from '../../support/accounts';
import { startTestApi, type ApiAnswer, type TestApi } from '../../support/api';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';
import { newMessage } from '../../support/transactional';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
  await ensureTestAccount(api.db);
});

afterAll(() => api.stop());

const mail = {
  channel: 'email',
  to: { email: 'kim@example.com' },
  from: { email: 'shop@example.com' },
  content: { subject: 'Code {{ data.code }}', html: '<p>{{ data.code }}</p>' },
  data: { code: 123 },
};

const send = (token: string | undefined, json: unknown, key?: string): Promise<ApiAnswer> =>
  api.send('post', '/api/v1/messages', {
    token,
    json,
    headers: key === undefined ? {} : { 'Idempotency-Key': key },
  });

const messagesOf = ({ tenantId }: TestTenant) => api.db('messages').where({ tenant_id: tenantId });

const contentsOf = ({ tenantId }: TestTenant) =>
  api.db('transactional_contents').where({ tenant_id: tenantId });

/** Makes today's standing runs yesterday's. */
const dayPasses = ({ tenantId }: TestTenant) =>
  api
    .db('campaign_runs')
    .where({ tenant_id: tenantId })
    .update({ day: api.db.raw('day - 1') });

test('needs a token and the right to send', async () => {
  const tenant = await buildTenant(api.deps);
  expect((await send(undefined, mail)).status).toBe(401);
  expect((await send(tenant.tokenOf('viewer'), mail)).status).toBe(403);
  expect((await send(tenant.tokenOf('member'), mail)).status).toBe(202);
  expect(await messagesOf(tenant)).toHaveLength(1);
});

test('is one of the standing run of its tenant, day, channel and account', async () => {
  const tenant = await buildTenant(api.deps);
  await send(tenant.token, mail);
  await send(tenant.token, mail);
  const runs = await api.db('campaign_runs').where({ tenant_id: tenant.tenantId });
  expect(runs).toMatchObject([
    { kind: 'transactional', channel: 'email', account_id: 'sendgrid', state: 'sending' },
  ]);
  expect(await messagesOf(tenant)).toHaveLength(2);
  expect((await api.send('get', '/api/v1/campaigns', { token: tenant.token })).body.data).toEqual(
    [],
  );
});

test('shows what was asked for to whoever asked, and to no other tenant', async () => {
  const [mine, theirs] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const customer = await buildCustomer(api.deps, { tenant: mine });
  const { body } = await send(mine.token, { ...mail, to: { customerId: customer.id } });
  const path = `/api/v1/messages/${body.data.id}`;
  expect((await api.send('get', path, { token: mine.token })).body.data).toMatchObject({
    id: body.data.id,
    channel: 'email',
    customerId: customer.id,
    state: 'planned',
    waitsUntil: null,
    attempts: [],
    events: [],
  });
  expect((await api.send('get', path, { token: theirs.token })).status).toBe(404);
  expect((await api.send('get', path)).status).toBe(401);
});

test('an address of a customer is the customer’s', async () => {
  const tenant = await buildTenant(api.deps);
  const customer = await buildCustomer(api.deps, { tenant, email: 'Kim@Example.com' });
  await send(tenant.token, {
    ...mail,
    content: { ...mail.content, subject: 'Hi {{ customer.email }}' },
  });
  expect(await messagesOf(tenant)).toMatchObject([{ customer_id: customer.id }]);
  expect(await contentsOf(tenant)).toMatchObject([
    {
      customer_id: customer.id,
      address: 'kim@example.com',
      content: { subject: 'Hi Kim@Example.com' },
    },
  ]);
});

test('values cannot break out of the HTML or into a header', async () => {
  const tenant = await buildTenant(api.deps);
  const code = '<script>"x"\r\nBcc: all@example.com';
  expect((await send(tenant.token, { ...mail, data: { code } })).status).toBe(202);
  const [{ content }] = await contentsOf(tenant);
  expect(content.html).not.toContain('<script>');
  expect(content.subject).not.toMatch(/[\r\n]/);
});

describe('one Idempotency-Key is one message', () => {
  test('within its day', async () => {
    const tenant = await buildTenant(api.deps);
    const first = await send(tenant.token, mail, 'order-1');
    const again = await send(tenant.token, mail, 'order-1');
    expect([again.status, again.text]).toEqual([202, first.text]);
    expect(await messagesOf(tenant)).toHaveLength(1);
  });

  test('on the day after, when the answer is no longer kept', async () => {
    const tenant = await buildTenant(api.deps);
    const first = await send(tenant.token, mail, 'order-1');
    await dayPasses(tenant);
    await api.db('idempotency_keys').where({ tenant_id: tenant.tenantId }).delete();
    const again = await send(tenant.token, mail, 'order-1');
    expect([again.status, again.body.data.id]).toEqual([202, first.body.data.id]);
    const other = await send(tenant.token, { ...mail, data: { code: 7 } }, 'order-1');
    expect([other.status, other.body.code]).toEqual([409, 'idempotencyKeyReused']);
    expect(await messagesOf(tenant)).toHaveLength(1);
  });

  test('when two requests of one key are written at once, on both sides of midnight', async () => {
    const tenant = await buildTenant(api.deps);
    await send(tenant.token, mail, 'yesterday');
    await dayPasses(tenant);
    const { tenantId } = tenant;
    const digest = Buffer.from('same');
    const twins = [newMessage(tenantId), newMessage(tenantId)].map((message) => ({
      ...message,
      slot: 'one key',
      digest,
    }));
    const accepted = await Promise.all(
      twins.map((twin) => withTenant(api.deps.db, tenantId, (trx) => acceptMessage(trx, twin))),
    );
    expect(new Set(accepted.map(({ id }) => id)).size).toBe(1);
    expect(await messagesOf(tenant).where({ slot: 'one key' })).toHaveLength(1);
  });

  test('but a key of one tenant is nothing to another', async () => {
    const [mine, theirs] = [await buildTenant(api.deps), await buildTenant(api.deps)];
    await send(mine.token, mail, 'order-1');
    expect((await send(theirs.token, mail, 'order-1')).status).toBe(202);
    expect(await messagesOf(theirs)).toHaveLength(1);
  });

  test('is not kept in clear where the ledger is', async () => {
    const tenant = await buildTenant(api.deps);
    await send(tenant.token, mail, 'kim@example.com');
    const [{ slot }] = await messagesOf(tenant);
    expect(slot).toMatch(/^[\w-]{43}$/);
  });
});

test('twenty first messages of a day at once open one run', async () => {
  const tenant = await buildTenant(api.deps);
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(tenant.token, mail)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 202));
  expect(await api.db('campaign_runs').where({ tenant_id: tenant.tenantId })).toHaveLength(1);
  expect(await messagesOf(tenant)).toHaveLength(20);
});

const unknownId = '01999999-9999-7999-8999-999999999999';
const { from: _, ...mailFromNobody } = mail;

test.each([
  ['no body', {}, 'channel'],
  ['an unknown channel', { ...mail, channel: 'pigeon' }, 'channel'],
  ['nobody to send to', { ...mail, to: {} }, 'to'],
  ['an address that is none', { ...mail, to: { email: 'kim' } }, 'to.email'],
  ['a phone for mail', { ...mail, to: { phone: '+4930123456' } }, 'to'],
  ['an unknown customer', { ...mail, to: { customerId: unknownId } }, 'to.customerId'],
  ['no sender and an account without one', mailFromNobody, 'from'],
  ['no subject', { ...mail, content: { html: '<p>x</p>' } }, 'content.subject'],
  ['a blank subject', { ...mail, content: { subject: ' ', html: '<p>x</p>' } }, 'content.subject'],
  [
    'a campaign’s name in it',
    { ...mail, content: { subject: '{{ campaign.name }}', html: '<p>x</p>' } },
    'content.subject',
  ],
  [
    'Liquid that is broken',
    { ...mail, content: { subject: 'x', html: '<p>{{ data.code </p>' } },
    'content.html',
  ],
  [
    'a subject that its data leaves empty',
    { ...mail, content: { subject: '{{ data.nothing }}', html: '<p>x</p>' } },
    'content',
  ],
  ['data that is a list', { ...mail, data: [] }, 'data'],
  ['a field nobody knows', { ...mail, at: 'noon' }, 'at'],
])('refuses %s and names the field', async (_what, body, field) => {
  const tenant = await buildTenant(api.deps);
  const answer = await send(tenant.token, body);
  expect([answer.status, answer.body.code]).toEqual([422, 'validationFailed']);
  expect(answer.body.errors.map(({ path }: { path: string }) => path)).toContainEqual(
    expect.stringMatching(new RegExp(`^${field}`)),
  );
  expect(await messagesOf(tenant)).toEqual([]);
});

test('a customer of another tenant, or without an address, is refused', async () => {
  const [mine, theirs] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const others = await buildCustomer(api.deps, { tenant: theirs });
  const unreachable = await buildCustomer(api.deps, {
    tenant: mine,
    email: null,
    externalId: 'x',
  });
  for (const [customerId, code] of [
    [others.id, 'unknownCustomer'],
    [unreachable.id, 'noAddress'],
  ]) {
    const answer = await send(mine.token, { ...mail, to: { customerId } });
    expect(answer).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'to.customerId', code }] },
    });
  }
  expect(await messagesOf(mine)).toEqual([]);
});

test('a channel without an account is a conflict', async () => {
  const tenant = await buildTenant(api.deps);
  const answer = await send(tenant.token, {
    channel: 'sms',
    to: { phone: '+4930123456' },
    content: { body: 'Your code is {{ data.code }}' },
    data: { code: 1 },
  });
  expect([answer.status, answer.body.code]).toEqual([409, 'noProviderAccount']);
});

test('a sender that the account does not list is refused; without one its first stands in', async () => {
  const tenant = await buildTenant(api.deps);
  const { token } = tenant;
  const account = await api.send('post', '/api/v1/provider-accounts', {
    token,
    json: {
      vendor: 'sendgrid',
      channel: 'email',
      name: 'Receipts',
      credentials: { apiKey: 'SG.test' },
      senders: [{ address: 'receipts@example.com', name: 'Bells' }],
    },
  });
  await api.send('post', `/api/v1/provider-accounts/${account.body.data.id}/default`, {
    token,
    json: {},
  });
  expect(await send(token, mail)).toMatchObject({
    status: 422,
    body: { errors: [{ path: 'from.email', code: 'senderNotOfAccount' }] },
  });
  expect((await send(token, mailFromNobody)).status).toBe(202);
  expect(await contentsOf(tenant)).toMatchObject([
    { content: { from: { email: 'receipts@example.com', name: 'Bells' } } },
  ]);
  const [run] = await acrossTenants(api.deps.db, 'transactional', (trx) =>
    trx('campaign_runs').where({ tenant_id: tenant.tenantId }),
  );
  expect(run).toMatchObject({ account_id: account.body.data.id });
});
