import { createTestSends } from '../../../clients/testSends';
import { newId } from '../../../lib/ids';
import { acrossTenants, withTenant } from '../../../models/base';
import {
  claimTestSend,
  expireTestSends,
  settleTestSend,
} from '../../../models/campaigns/testSends';
import { setLimits } from '../../../models/messages/accountLimits';
import { testSendWorkflowId } from '../../../workflows/campaigns/testSend';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath, contentBody, dataOf, postCampaign } from '../../support/campaigns';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';
import { recordHistories } from '../../replay/record';
import { clearFaults, sandboxCalls, setFaults } from '../../support/sandboxControl';

let ground: CampaignGround;
let api: TestApi;
// The same records without a worker to send anything.
let idleApi: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround();
  await ground.startWorker();
  api = await startTestApi({ db: ground.deps.db, testSends: createTestSends(ground.temporal) });
  idleApi = await startTestApi({ db: ground.deps.db });
});

afterAll(async () => {
  await Promise.all([api.stop(), idleApi.stop()]);
  await ground.stop();
});

afterEach(() => clearFaults(ground.sandbox));

interface Asked {
  tenant: TestTenant;
  campaignId: string;
  to: string;
  ask(json?: object, options?: { through?: TestApi; key?: string }): ReturnType<TestApi['send']>;
  received(): Promise<{ subject: string; html: string; customArgs: Record<string, string> }[]>;
}

async function buildTest(content: Record<string, unknown> = {}): Promise<Asked> {
  const tenant = await buildTenant(api.deps);
  const { id: campaignId } = await postCampaign(api, tenant, { content: contentBody(content) });
  const to = `author-${newId()}@example.com`;
  return {
    tenant,
    campaignId,
    to,
    ask: (json = {}, { through = api, key } = {}) =>
      through.send('post', `${campaignsPath}/${campaignId}/test-send`, {
        token: tenant.token,
        json: { to: [to], ...json },
        ...(key === undefined ? {} : { headers: { 'Idempotency-Key': key } }),
      }),
    async received() {
      const { url } = ground.sandbox;
      const list = await fetch(`${url}/api/messages?to=${encodeURIComponent(to)}`);
      const { items }: { items: { id: string }[] } = JSON.parse(await list.text());
      return Promise.all(
        items.map(async ({ id }) =>
          JSON.parse(await (await fetch(`${url}/api/messages/${id}`)).text()),
        ),
      );
    },
  };
}

async function rowOf(id: string) {
  return ground.db('test_sends').where({ id }).first();
}

test('sends one customer’s message with direct links and counts nothing', async () => {
  const test = await buildTest();
  const customer = await buildCustomer(api.deps, { tenant: test.tenant, firstName: 'Bo' });
  const answer = await test.ask({ customerId: customer.id });

  expect(dataOf(answer, 200)).toMatchObject({
    state: 'accepted',
    reason: null,
    recipients: 1,
    customerId: customer.id,
    settledAt: expect.any(String),
  });
  const [mail, ...others] = await test.received();
  expect(others).toEqual([]);
  expect(mail).toMatchObject({ subject: '[Test] Hello Bo' });
  expect(mail?.html).toContain('<p>Hi Bo</p><a href="https://shop.example/sale">');
  expect(mail?.html).not.toContain('/t/o/');
  expect(await ground.db('campaign_runs').where({ campaign_id: test.campaignId })).toEqual([]);
  const location = answer.headers.get('Location') ?? '';
  expect((await api.send('get', location, { token: test.tenant.token })).body.data).toEqual(
    answer.body.data,
  );
});

test('keeps addresses out of Temporal, and forgets them once it has ended', async () => {
  const test = await buildTest();
  const { id } = dataOf(await test.ask(), 200);
  expect(await rowOf(id)).toMatchObject({ state: 'accepted', addresses: [] });
  const handle = ground.temporal.client.workflow.getHandle(
    testSendWorkflowId(test.tenant.tenantId, id),
  );
  expect(JSON.stringify(await handle.fetchHistory())).not.toContain(test.to);
  await recordHistories(
    ground.temporal.client,
    'a-test-of-a-campaign-is-one-call',
    test.campaignId,
  );
});

test('sends to several addresses in one call, to each once', async () => {
  const test = await buildTest();
  const second = `second-${newId()}@example.com`;
  const { id, recipients } = dataOf(
    await test.ask({ to: [test.to, second, test.to.toUpperCase()] }),
    200,
  );
  expect(recipients).toBe(2);
  const calls = await sandboxCalls(ground.sandbox, id);
  expect(calls.length).toBe(1);
  expect(await test.received()).toHaveLength(1);
});

test('counts under the limits of the account, and is sent when asked again with room', async () => {
  const limit = (most: number) =>
    ground.db.transaction((trx) =>
      setLimits(trx, 'sendgrid', [{ per: 'day', unit: 'messages', most }]),
    );
  const test = await buildTest();
  const key = newId();
  try {
    await ground.db.transaction((trx) =>
      setLimits(trx, 'sendgrid', [
        { per: 'day', unit: 'messages', most: 2 },
        { per: 'day', unit: 'calls', most: 2 },
      ]),
    );
    const { id } = dataOf(await test.ask({ to: [test.to, `second-${newId()}@example.com`] }), 200);
    expect(await rowOf(id)).toMatchObject({ state: 'accepted' });
    const answer = await test.ask({}, { key });
    expect([answer.status, answer.body.code]).toEqual([503, 'accountWaits']);
    expect(answer.body.detail).toContain('rateLimit: 2 messages a day');
    expect(await test.received()).toHaveLength(1);
    await limit(3);
    expect(dataOf(await test.ask({}, { key }), 200)).toMatchObject({ state: 'accepted' });
    expect(await test.received()).toHaveLength(2);
  } finally {
    await ground.db.transaction((trx) => setLimits(trx, 'sendgrid', []));
  }
});

test('is sent once for one Idempotency-Key', async () => {
  const test = await buildTest();
  const key = newId();
  const first = dataOf(await test.ask({}, { key }), 200);
  const again = await test.ask({}, { key });
  expect([again.status, again.body.data]).toEqual([200, first]);
  expect(await test.received()).toHaveLength(1);
});

test('a test that a worker lost in its call is in doubt and not sent again', async () => {
  const test = await buildTest();
  const key = newId();
  const { id } = dataOf(await test.ask({}, { through: idleApi, key }), 202);
  const named = { tenantId: test.tenant.tenantId, id };
  const claim = () => withTenant(ground.db, named.tenantId, (trx) => claimTestSend(trx, named));
  expect(await claim()).toMatchObject({ state: 'calling', addresses: [test.to] });
  expect(await claim()).toBeNull();
  expect(await rowOf(id)).toMatchObject({ state: 'in_doubt', reason: 'workerLost' });
  expect(await claim()).toBeNull();

  // The first one was only slow.
  await withTenant(ground.db, named.tenantId, (trx) =>
    settleTestSend(trx, named, { state: 'accepted', reason: null }),
  );
  expect(await rowOf(id)).toMatchObject({ state: 'accepted', addresses: [] });
});

test('a test that no worker takes is pending, and expires', async () => {
  const test = await buildTest();
  const answer = await test.ask({}, { through: idleApi });
  const { id } = dataOf(answer, 202);
  expect(answer.body.data.state).toBe('planned');

  await ground
    .db('test_sends')
    .where({ id })
    .update({ created_at: new Date(0) });
  const named = { tenantId: test.tenant.tenantId, id };
  expect(
    await withTenant(ground.db, named.tenantId, (trx) => claimTestSend(trx, named)),
  ).toBeNull();
  expect(await rowOf(id)).toMatchObject({ state: 'expired', addresses: [] });
  expect(await test.received()).toEqual([]);
});

test('a test whose start was lost is ended by the reconciler', async () => {
  const test = await buildTest();
  const { id } = dataOf(await test.ask({}, { through: idleApi }), 202);
  const expire = () => acrossTenants(ground.db, 'reconcile', expireTestSends);
  expect(await expire()).toBe(0);
  await ground
    .db('test_sends')
    .where({ id })
    .update({ created_at: new Date(0) });
  expect(await expire()).toBe(1);
  expect(await rowOf(id)).toMatchObject({ state: 'expired', addresses: [] });
});

test('what cannot be started is withdrawn, and sent when asked again', async () => {
  const test = await buildTest();
  const key = newId();
  const downApi = await startTestApi({
    db: ground.db,
    testSends: { sendTest: () => Promise.reject(new Error('no server')) },
  });
  try {
    const answer = await test.ask({}, { through: downApi, key });
    expect([answer.status, answer.body.code]).toEqual([503, 'workflowsUnavailable']);
    expect(answer.headers.get('Retry-After')).toBe('5');
  } finally {
    await downApi.stop();
  }
  const { id } = dataOf(await test.ask({}, { key }), 200);
  expect(await ground.db('test_sends').where({ campaign_id: test.campaignId })).toMatchObject([
    { id, state: 'accepted', addresses: [] },
  ]);
  expect(await test.received()).toHaveLength(1);
});

test.each([
  [
    'refuses',
    { refuse: { status: 400, errors: [{ message: 'No', field: 'from' }] } },
    'providerFailed',
    'refused',
  ],
  ['throttles', { rate429: 1 }, 'providerFailed', 'not_sent'],
  ['drops the connection', { dropAfterAccept: 1 }, 'providerOutcomeUnknown', 'in_doubt'],
])('502 when the provider %s', async (_, faults, code, state) => {
  const test = await buildTest();
  await setFaults(ground.sandbox, faults);
  const answer = await test.ask();
  expect([answer.status, answer.body.code]).toEqual([502, code]);
  expect(await ground.db('test_sends').where({ campaign_id: test.campaignId })).toMatchObject([
    { state, addresses: [] },
  ]);
});

test('refuses suppressed addresses by their place', async () => {
  const test = await buildTest();
  await ground.db('suppressions').insert({
    tenant_id: test.tenant.tenantId,
    channel: 'email',
    address: test.to,
    reason: 'unsubscribed',
  });
  const answer = await test.ask({ to: ['other@example.com', test.to] });
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([{ path: 'to.1', code: 'suppressed' }]);
  expect(await ground.db('test_sends').where({ campaign_id: test.campaignId })).toEqual([]);
});

test.each([
  [{ to: [] }, 'to', 'tooSmall'],
  [{ to: {} }, 'to', 'wrongType'],
  [{ to: ['nobody'] }, 'to.0', 'wrongEmail'],
  [{ to: Array.from({ length: 6 }, (_, i) => `a${i}@example.com`) }, 'to', 'tooBig'],
  [{ customerId: newId() }, 'customerId', 'unknownCustomer'],
  [{ subject: 'Hi' }, 'subject', 'unknownField'],
])('refuses %j', async (json, path, code) => {
  const test = await buildTest();
  const answer = await test.ask(json);
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([{ path, code }]);
  expect(await ground.db('test_sends').where({ campaign_id: test.campaignId })).toEqual([]);
});

test('a campaign or a test of another tenant is not there', async () => {
  const test = await buildTest();
  const answer = await test.ask();
  const other = await buildTenant(api.deps);
  const theirs = await api.send('post', `${campaignsPath}/${test.campaignId}/test-send`, {
    token: other.token,
    json: { to: ['a@example.com'] },
  });
  expect([theirs.status, theirs.body.code]).toEqual([404, 'campaignNotFound']);
  const location = answer.headers.get('Location') ?? '';
  expect((await api.send('get', location, { token: other.token })).status).toBe(404);
});
