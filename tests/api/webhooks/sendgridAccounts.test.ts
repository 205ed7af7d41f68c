import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { applyEvents } from '../../../models/messages/applyEvents';
import { createWebhookKeys } from '../../../sandbox';
import { startTestApi, type TestApi } from '../../support/api';
import { buildTenant } from '../../support/factories';
import { buildLedger, type TestLedger } from '../../support/ledger';
import { insertCustomers } from '../../support/records';
import { postAccount, sendGridBody } from '../providerAccounts/ground';
import { deliver } from './delivery';
import { written } from './written';
import { tokenFor } from '../../support/tokens';

const platform = createWebhookKeys();
const keys = createWebhookKeys();
const { privateKeyPem } = keys;
let api: TestApi;
let ledger: TestLedger;

beforeAll(async () => {
  api = await startTestApi({
    config: loadConfig([], {
      NODE_ENV: 'test',
      SENDGRID_WEBHOOK_PUBLIC_KEY: platform.publicKeyBase64,
    }),
  });
});

afterAll(() => api.stop());

beforeEach(async () => {
  for (const table of ['message_events', 'waiting_events', 'suppressions']) {
    await api.db(table).delete();
  }
  ledger = await buildLedger(api.db, { customers: 2 });
});

/** An account at SendGrid of the tenant, written through the API. */
async function accountOf(tenantId: string, webhookPublicKey?: string): Promise<string> {
  const token = await tokenFor(api.deps, tenantId);
  const credentials = { apiKey: 'SG.one.two', webhookPublicKey };
  const account = await postAccount(api, { token }, sendGridBody({ credentials }));
  expect(JSON.stringify(account)).not.toContain('MFkw');
  return account.id;
}

const leftBy = (accountId: string) =>
  api.db('campaign_runs').where({ id: ledger.run.id }).update({ account_id: accountId });

function event(kind: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    email: 'c0@example.com',
    timestamp: 1_790_000_000,
    event: kind,
    sg_event_id: newId(),
    sg_message_id: 'abc.sandbox-0.0.0',
    carillon_r: ledger.run.id,
    carillon_d: '1.1',
    carillon_m: '1',
    ...fields,
  };
}

const apply = () => acrossTenants(api.deps.db, 'eventApply', (trx) => applyEvents(trx, 1000));
const message = () => api.db('messages').where({ run_id: ledger.run.id, n: 1 }).first();
const suppressions = () => api.db('suppressions').orderBy('tenant_id');

test('events that a tenant’s own account signed become facts', async () => {
  const accountId = await accountOf(ledger.tenantId, keys.publicKeyBase64);
  await leftBy(accountId);
  const answer = await deliver(api, [event('delivered')], { accountId, privateKeyPem });
  expect(answer.body.data).toEqual({ received: 1, stored: 1, skipped: 0 });
  await apply();
  expect(await message()).toMatchObject({ delivered_at: expect.any(Date) });
});

test.each(['the platform’s key', 'no key in the account', 'another account', 'no account'])(
  'signed for %s: 401, and nothing is written',
  async (what) => {
    const own = await accountOf(ledger.tenantId, keys.publicKeyBase64);
    const before = await written(api);
    const { accountId = own, pem = privateKeyPem } =
      what === 'the platform’s key'
        ? { pem: platform.privateKeyPem }
        : what === 'no key in the account'
          ? { accountId: await accountOf(ledger.tenantId) }
          : what === 'another account'
            ? { accountId: await accountOf(ledger.tenantId, createWebhookKeys().publicKeyBase64) }
            : { accountId: newId() };
    const answer = await deliver(api, [event('spamreport')], { accountId, privateKeyPem: pem });
    expect([answer.status, answer.body.code]).toEqual([401, 'invalidSignature']);
    expect(await written(api)).toEqual(before);
  },
);

test('a tenant cannot speak of another one’s messages or customers', async () => {
  const stranger = await buildTenant(api.deps);
  await insertCustomers(api.db, stranger.tenantId, [{ email: 'own@example.com' }]);
  const accountId = await accountOf(stranger.tenantId, keys.publicKeyBase64);
  const withoutRun = { carillon_r: undefined, carillon_d: undefined, carillon_m: undefined };
  const answer = await deliver(
    api,
    [
      event('spamreport'),
      event('spamreport', { carillon_d: undefined }),
      event('spamreport', { ...withoutRun, email: 'c1@example.com' }),
    ],
    { accountId, privateKeyPem },
  );
  expect(answer.status).toBe(200);
  await apply();
  expect(await message()).toMatchObject({ complained_at: null });
  const stopped = await suppressions();
  expect(stopped.every(({ tenant_id }) => tenant_id === stranger.tenantId)).toBe(true);
});

test('the platform’s key says nothing of a run that left by a tenant’s account', async () => {
  await leftBy(await accountOf(ledger.tenantId, keys.publicKeyBase64));
  await deliver(api, [event('delivered')], { privateKeyPem: platform.privateKeyPem });
  expect(await api.db('message_events')).toMatchObject([
    { set_aside: 'wrongAccount', run_id: null, account_id: 'sendgrid' },
  ]);
  expect((await apply()).applied).toBe(0);
});

test.each(['AAAA', 'not base64!', `${keys.publicKeyBase64}AA`])(
  'a key that is none is refused when it is written: %s',
  async (webhookPublicKey) => {
    const { token } = await buildTenant(api.deps);
    const answer = await api.send('post', '/api/v1/provider-accounts', {
      token,
      json: sendGridBody({ credentials: { apiKey: 'SG.one.two', webhookPublicKey } }),
    });
    expect([answer.status, answer.body.errors[0].path]).toEqual([
      422,
      'credentials.webhookPublicKey',
    ]);
  },
);
