import { startTestApi, type ApiAnswer, type TestApi } from '../support/api';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { buildCustomer, buildTenant, type TestTenant } from '../support/factories';
import { clearFaults, sandboxCalls, setFaults } from '../support/sandboxControl';
import { ensureStandingWork } from '../../workers/schedules';
import { askForMessages } from '../support/transactional';

let ground: CampaignGround;
let api: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround();
  api = await startTestApi({ db: ground.deps.db });
  await ground.startWorker();
  await ensureStandingWork(ground.temporal.client);
});

afterEach(() => clearFaults(ground.sandbox));

afterAll(async () => {
  await api.stop();
  await ground.stop();
});

const code = {
  channel: 'email',
  from: { email: 'shop@example.com', name: 'Bells' },
  content: { subject: 'Your code is {{ data.code }}', html: '<p>{{ data.code }}</p>' },
};

const send = (tenant: TestTenant, body: object, key?: string): Promise<ApiAnswer> =>
  api.send('post', '/api/v1/messages', {
    token: tenant.token,
    json: body,
    ...(key === undefined ? {} : { headers: { 'Idempotency-Key': key } }),
  });

const look = (tenant: TestTenant, id: string): Promise<ApiAnswer> =>
  api.send('get', `/api/v1/messages/${id}`, { token: tenant.token });

const untilState = (tenant: TestTenant, id: string, state: string) =>
  until(`the message to be ${state}`, async () => {
    const { body } = await look(tenant, id);
    return body.data.state === state && body.data;
  });

const callsOf = async (tenant: TestTenant) => {
  const runs = await ground.db('campaign_runs').where({ tenant_id: tenant.tenantId }).select('id');
  const calls = await Promise.all(runs.map(({ id }) => sandboxCalls(ground.sandbox, id)));
  return calls.flat();
};

const suppress = ({ tenantId }: TestTenant, address: string, reason: string) =>
  ground.db('suppressions').insert({ tenant_id: tenantId, channel: 'email', address, reason });

test('a message to an address is with the provider in a moment, and what it said is forgotten', async () => {
  const tenant = await buildTenant(api.deps);
  const to = { email: 'kim@example.com', name: 'Kim' };
  const answer = await send(tenant, { ...code, to, data: { code: '<123>' } });
  expect(answer).toMatchObject({ status: 202, body: { data: { state: 'planned' } } });
  const { id } = answer.body.data;
  expect(answer.headers.get('location')).toBe(`/api/v1/messages/${id}`);

  const message = await untilState(tenant, id, 'accepted');
  expect(message).toMatchObject({
    customerId: null,
    channel: 'email',
    waitsUntil: null,
    attempts: [{ attempt: 1, outcome: 'accepted', provenBy: 'reply', status: 202 }],
  });
  expect(await ground.db('transactional_contents').where({ tenant_id: tenant.tenantId })).toEqual(
    [],
  );
});

test('withdrawn consent and an unsubscription do not stop what somebody waits for', async () => {
  const tenant = await buildTenant(api.deps);
  const customer = await buildCustomer(api.deps, { tenant, emailConsent: 'withdrawn' });
  await suppress(tenant, customer.email ?? '', 'unsubscribed');
  const { body } = await send(tenant, { ...code, to: { customerId: customer.id } });
  expect(await untilState(tenant, body.data.id, 'accepted')).toMatchObject({
    customerId: customer.id,
  });
});

test.each(['bounced', 'complained', 'invalid', 'manual'])(
  'an address that is suppressed as %s is left out, with the reason',
  async (reason) => {
    const tenant = await buildTenant(api.deps);
    await suppress(tenant, 'gone@example.com', reason);
    const { body } = await send(tenant, { ...code, to: { email: 'Gone@example.com' } });
    expect(await untilState(tenant, body.data.id, 'leftOut')).toMatchObject({
      reason: 'suppressed',
      attempts: [],
    });
    expect(await callsOf(tenant)).toEqual([]);
    expect(await ground.db('transactional_contents').where({ tenant_id: tenant.tenantId })).toEqual(
      [],
    );
  },
);

test('a customer who is erased while their message waits is not written to', async () => {
  const tenant = await buildTenant(api.deps);
  const customer = await buildCustomer(api.deps, { tenant });
  await ground
    .db('provider_accounts')
    .where({ id: 'sendgrid' })
    .update({
      blocked_until: new Date(Date.now() + 1_500),
      blocked_reason: 'providerThrottled',
    });
  const { body } = await send(tenant, { ...code, to: { customerId: customer.id } });
  await until('the message to wait', async () => {
    const { data } = (await look(tenant, body.data.id)).body;
    return data.state === 'planned' && data.waitReason === 'providerThrottled' && data.waitsUntil;
  });
  await api.send('delete', `/api/v1/customers/${customer.id}`, { token: tenant.token });
  expect(await untilState(tenant, body.data.id, 'leftOut')).toMatchObject({ reason: 'erased' });
  expect(await callsOf(tenant)).toEqual([]);
});

test('a call without an answer is in doubt and is not made again', async () => {
  await setFaults(ground.sandbox, { dropAfterAccept: 1 });
  const tenant = await buildTenant(api.deps);
  const { body } = await send(tenant, { ...code, to: { email: 'kim@example.com' } });
  expect(await untilState(tenant, body.data.id, 'inDoubt')).toMatchObject({
    attempts: [{ attempt: 1, outcome: 'inDoubt' }],
  });
  expect(await callsOf(tenant)).toHaveLength(1);
});

test('what the provider does not take now is sent when it does', async () => {
  await setFaults(ground.sandbox, { rate429: 1, retryAfterSeconds: 1 });
  const tenant = await buildTenant(api.deps);
  const { body } = await send(tenant, { ...code, to: { email: 'kim@example.com' } });
  await until('a refusal for now', async () => {
    const { data } = (await look(tenant, body.data.id)).body;
    return data.attempts[0]?.outcome === 'throttled';
  });
  await clearFaults(ground.sandbox);
  const { attempts } = await untilState(tenant, body.data.id, 'accepted');
  expect(attempts.at(-1)).toMatchObject({ outcome: 'accepted' });
  expect(await callsOf(tenant)).toHaveLength(1);
});

test('a hundred messages of ten tenants arrive once each', async () => {
  const tenants = await Promise.all(Array.from({ length: 10 }, () => buildTenant(api.deps)));
  const answers = await Promise.all(
    tenants.flatMap((tenant) =>
      Array.from({ length: 10 }, async (_, n) => ({
        tenant,
        id: (await send(tenant, { ...code, to: { email: `c${n}@example.com` } })).body.data.id,
      })),
    ),
  );
  await Promise.all(answers.map(({ tenant, id }) => untilState(tenant, id, 'accepted')));
  for (const tenant of tenants) {
    const calls = await callsOf(tenant);
    expect(calls).toHaveLength(10);
    expect(new Set(calls.map(({ customArgs }) => customArgs?.['carillon_m'])).size).toBe(10);
  }
});

test('whoever asks for hundreds at once, at a provider that is slow, holds nobody up', async () => {
  const [greedy, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const { messages } = await askForMessages(ground.db, 1, { tenantId: greedy.tenantId });
  await setFaults(ground.sandbox, { latencyMs: 1_000, match: 'a thousand codes' });
  const [first] = messages;
  if (first?.content.channel !== 'email') {
    throw new Error('a mail was expected');
  }
  await askForMessages(ground.db, 600, {
    tenantId: greedy.tenantId,
    content: { ...first.content, subject: 'a thousand codes' },
  });
  const { body } = await send(other, { ...code, to: { email: 'kim@example.com' } });
  await untilState(other, body.data.id, 'accepted');
  const waiting = await ground
    .db('dispatches')
    .where({ tenant_id: greedy.tenantId, state: 'planned' });
  expect(waiting.length).toBeGreaterThan(0);
  await clearFaults(ground.sandbox);
  await until('the others to have left', async () => {
    const open = await ground
      .db('dispatches')
      .where({ tenant_id: greedy.tenantId })
      .whereNot({ state: 'accepted' });
    return open.length === 0;
  });
});
