import {
  createAccountSenders,
  type AccountSenders,
} from '../../../activities/messages/accountSenders';
import { loadConfig } from '../../../lib/config';
import { acrossTenants } from '../../../models/base';
import { applyEvents } from '../../../models/messages/applyEvents';
import { DEMO_TWILIO_ACCOUNT } from '../../../sandbox';
import { startTestApi, type TestApi } from '../../support/api';
import { buildLedger, type TestLedger } from '../../support/ledger';
import { clearFaults, setFaults } from '../../support/sandboxControl';
import { api as askSandbox, closeAll, openSandbox } from '../../sandbox/support';
import { startProxy, type Proxy } from './proxy';
import { twilioAccount, type TestAccount } from './twilioGround';

// The vendor's stand-in calls the public address, which a proxy has; the API sees another host.
let proxy: Proxy;
let api: TestApi;
let senders: AccountSenders;
let sandbox: Awaited<ReturnType<typeof openSandbox>>;
let ledger: TestLedger;
let account: TestAccount;

beforeAll(async () => {
  proxy = await startProxy();
  api = await startTestApi({
    config: loadConfig([], { NODE_ENV: 'test', PUBLIC_URL: proxy.url }),
  });
  proxy.target = api.url;
  sandbox = await openSandbox();
  senders = createAccountSenders({
    db: api.deps.db,
    sealing: api.deps.sealing,
    timeoutMs: 5_000,
    publicUrl: proxy.url,
    onlyPublic: false,
  });
});

afterAll(async () => {
  await senders.close();
  await closeAll();
  await proxy.close();
  await api.stop();
});

beforeEach(async () => {
  ledger = await buildLedger(api.db, { customers: 3 });
  account = await twilioAccount(api, ledger.tenantId, {
    ...DEMO_TWILIO_ACCOUNT,
    baseUrl: sandbox.url,
  });
  await api.db('campaign_runs').where({ id: ledger.run.id }).update({ account_id: account.id });
});

afterEach(() => clearFaults(sandbox));

async function send(messageN: number, to: string) {
  const sender = await senders.of(ledger.tenantId, account.id);
  return sender.send(
    { channel: 'sms', to, sender: null, body: 'Hello' },
    { runId: ledger.run.id, dispatchN: 1, attempt: 1, messageN },
  );
}

const flush = () =>
  askSandbox<{ posted: number; failed: number }>(sandbox, '/events/flush', 'POST');
const apply = () => acrossTenants(api.deps.db, 'eventApply', (trx) => applyEvents(trx, 1000));
const messages = () => api.db('messages').where({ run_id: ledger.run.id }).orderBy('n');
const events = () => api.db('message_events').where({ run_id: ledger.run.id }).orderBy('kind');

test('what Twilio tells of messages becomes facts, doubled and shuffled as it may come', async () => {
  await setFaults(sandbox, {
    eventsHold: true,
    eventsDuplicate: 1,
    eventsShuffle: true,
    seed: 'e2e',
  });
  expect(await send(1, '+49301234567')).toMatchObject({ kind: 'accepted' });
  expect(await send(2, '+15003000500')).toMatchObject({ kind: 'accepted' });
  expect(await flush()).toMatchObject({ failed: 0 });
  expect(await events()).toHaveLength(4);
  await apply();
  expect(await messages()).toMatchObject([
    { delivered_at: expect.any(Date), bounced_at: null },
    { delivered_at: null, bounced_at: expect.any(Date) },
    { delivered_at: null, bounced_at: null },
  ]);
  expect(await api.db('suppressions').where({ tenant_id: ledger.tenantId })).toMatchObject([
    { channel: 'sms', address: '+15003000500', reason: 'invalid' },
  ]);
});

test('callbacks that were not taken come again', async () => {
  proxy.target = null;
  await setFaults(sandbox, { eventsHold: true });
  await send(1, '+49301234567');
  expect(await flush()).toMatchObject({ failed: 2 });
  expect(await events()).toHaveLength(0);
  proxy.target = api.url;
  expect(await flush()).toMatchObject({ failed: 0 });
  expect((await events()).map(({ kind }) => kind)).toEqual(['delivered', 'processed']);
});

test('a customer’s STOP is signed, heard and answered with nothing', async () => {
  const answer = await askSandbox<{ status: number; answer: string }>(
    sandbox,
    '/twilio/inbound',
    'POST',
    {
      url: `${proxy.url}/webhooks/twilio/${account.id}/inbound`,
      from: '+49301234567',
      to: '+15005550006',
      body: 'STOP',
    },
  );
  expect(answer).toMatchObject({ status: 200, answer: expect.stringMatching(/<Response\s*\/>$/) });
  expect(await api.db('suppressions').where({ tenant_id: ledger.tenantId })).toMatchObject([
    { channel: 'sms', address: '+49301234567', reason: 'unsubscribed' },
  ]);
});

test('a STOP counts for the message that it answers', async () => {
  const { db } = api;
  await db('customers')
    .where({ tenant_id: ledger.tenantId, id: ledger.customerIds[1] })
    .update({ phone: '+49301234568' });
  await db('messages').where({ run_id: ledger.run.id }).update({ channel: 'sms' });
  await db('dispatches')
    .where({ run_id: ledger.run.id })
    .update({ state: 'accepted', called_at: db.raw(`now() - interval '1 day'`) });
  const stop = () =>
    askSandbox(sandbox, '/twilio/inbound', 'POST', {
      url: `${proxy.url}/webhooks/twilio/${account.id}/inbound`,
      from: '+49301234568',
      to: '+15005550006',
      body: 'STOP',
    });
  await stop();
  await stop();
  expect(await events()).toMatchObject([{ kind: 'unsubscribed', source: 'carillon' }]);
  await apply();
  const { customer_id } = await db('messages')
    .where({ run_id: ledger.run.id })
    .whereNotNull('unsubscribed_at')
    .first();
  expect(customer_id).toBe(ledger.customerIds[1]);
  expect(await ledger.dispatch(1)).toMatchObject({ unsubscribed_count: 1 });
});
