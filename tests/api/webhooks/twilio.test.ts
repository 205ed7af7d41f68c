import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { applyEvents } from '../../../models/messages/applyEvents';
import { ensurePlatformAccount } from '../../../models/messages/platformAccounts';
import { retrySetAside } from '../../../models/messages/setAside';
import { startTestApi, type TestApi } from '../../support/api';
import { buildLedger, type TestLedger } from '../../support/ledger';
import { postForm, publicUrl, sid, twilioAccount, type TestAccount } from './twilioGround';

let api: TestApi;
let ledger: TestLedger;
let account: TestAccount;

beforeAll(async () => {
  api = await startTestApi({
    config: loadConfig([], { NODE_ENV: 'test', PUBLIC_URL: `${publicUrl}/` }),
  });
});

afterAll(() => api.stop());

beforeEach(async () => {
  for (const table of ['message_events', 'waiting_events', 'suppressions']) {
    await api.db(table).delete();
  }
  ledger = await buildLedger(api.db, { customers: 3 });
  account = await twilioAccount(api, ledger.tenantId);
  await leftBy(account.id);
});

/** As if the run's calls had been made for this account. */
function leftBy(accountId: string | null) {
  return api.db('campaign_runs').where({ id: ledger.run.id }).update({ account_id: accountId });
}

/** A status of the ledger's first message, as the vendor tells it. */
function tell(
  status: string,
  given: { by?: TestAccount; fields?: Record<string, string>; key?: string } = {},
) {
  const { by = account, fields = {}, key = `${ledger.run.id}.1.1.1` } = given;
  return postForm(api, {
    path: `/webhooks/twilio/${by.id}/status?k=${key}`,
    fields: {
      AccountSid: by.accountSid,
      MessageSid: sid('a'),
      MessageStatus: status,
      To: '+4915550001',
      From: '+4930000000',
      ...fields,
    },
    authToken: by.authToken,
  });
}

const stored = () => api.db('message_events').orderBy('id');
const apply = () => acrossTenants(api.deps.db, 'eventApply', (trx) => applyEvents(trx, 1000));
const message = (n: number) => api.db('messages').where({ run_id: ledger.run.id, n }).first();
const suppressions = () => api.db('suppressions').orderBy('created_at');

test('a status becomes a fact and proves its call', async () => {
  const answer = await tell('delivered');
  expect([answer.status, answer.headers.get('Content-Type')]).toEqual([
    200,
    expect.stringContaining('text/xml'),
  ]);
  expect(answer.text).toMatch(/<Response\s*\/>$/);
  expect(await stored()).toMatchObject([
    { source: 'twilio', tenant_id: ledger.tenantId, account_id: account.id, message_n: 1 },
  ]);
  await apply();
  expect(await message(1)).toMatchObject({ delivered_at: expect.any(Date) });
});

test('the same status again stores nothing, another one does', async () => {
  await tell('sent');
  await tell('sent');
  await tell('delivered');
  expect((await stored()).map(({ kind }) => kind)).toEqual(['processed', 'delivered']);
});

test('many at once are all stored, once each, and applied', async () => {
  const told = Array.from({ length: 60 }, (_, i) =>
    tell('delivered', {
      key: `${ledger.run.id}.1.1.${(i % 3) + 1}`,
      fields: { MessageSid: sid(String(i % 3)) },
    }),
  );
  const statuses = (await Promise.all(told)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(await stored()).toHaveLength(3);
  await apply();
  expect(await ledger.dispatch(1)).toMatchObject({ delivered_count: 3 });
});

test('an event of no message holds up none of those that come with it', async () => {
  const told = Array.from({ length: 20 }, (_, i) =>
    tell('delivered', {
      key: `${ledger.run.id}.1.1.${i === 7 ? 2_147_483_647 : 1}`,
      fields: { MessageSid: `SM${String(i).padStart(32, '0')}` },
    }),
  );
  const statuses = (await Promise.all(told)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(await stored()).toHaveLength(20);
  expect(await apply()).toMatchObject({ applied: 19, setAside: { unknownMessage: 1 } });
});

test('a status that tells nothing is answered all the same', async () => {
  const answers = [
    await tell('accepted-by-the-moon'),
    await tell('delivered', { key: 'not-ours' }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(await stored()).toEqual([]);
});

test('a number that does not exist is suppressed for its tenant', async () => {
  await tell('undelivered', { fields: { ErrorCode: '30005' } });
  await apply();
  expect(await suppressions()).toMatchObject([
    { tenant_id: ledger.tenantId, channel: 'sms', address: '+4915550001', reason: 'invalid' },
  ]);
});

test('without our key a tenant’s account speaks for that tenant alone', async () => {
  const other = await buildLedger(api.db);
  await api
    .db('customers')
    .where({ tenant_id: other.tenantId, id: other.customerIds[0] })
    .update({ phone: '+4915550002' });
  await tell('failed', { key: 'none', fields: { ErrorCode: '21610', To: '+4915550002' } });
  await apply();
  expect(await suppressions()).toMatchObject([
    { tenant_id: ledger.tenantId, address: '+4915550002', reason: 'unsubscribed' },
  ]);
});

describe('an account speaks of its own runs alone', () => {
  /** Everything an event could leave behind. */
  const traces = async () => ({
    events: await stored(),
    waiting: await api.db('waiting_events'),
    applied: (await apply()).applied,
    message: await message(1),
    suppressions: await suppressions(),
  });
  const asideAlone = () => ({
    events: [
      {
        set_aside: 'wrongAccount',
        run_id: null,
        message_n: null,
        payload: { toldOf: { runId: ledger.run.id, messageN: 1 } },
      },
    ],
    waiting: [],
    applied: 0,
    message: { delivered_at: null, bounced_at: null },
    suppressions: [],
  });

  test('another tenant’s account changes nothing, whatever it signs', async () => {
    const foreign = await twilioAccount(api, (await buildLedger(api.db)).tenantId);
    await leftBy(null);
    const answer = await tell('undelivered', { by: foreign, fields: { ErrorCode: '30005' } });
    expect(answer.status).toBe(200);
    expect(await traces()).toMatchObject(asideAlone());
  });

  test('nor does another account of the same tenant', async () => {
    const second = await twilioAccount(api, ledger.tenantId, { channel: 'whatsapp' });
    await tell('delivered', { by: second });
    expect(await traces()).toMatchObject(asideAlone());
  });

  test('and the true event still counts afterwards', async () => {
    const foreign = await twilioAccount(api, (await buildLedger(api.db)).tenantId);
    await tell('delivered', { by: foreign });
    await tell('delivered');
    await apply();
    expect(await message(1)).toMatchObject({ delivered_at: expect.any(Date) });
  });

  test('what was set aside for it is not lined up by a retry', async () => {
    const foreign = await twilioAccount(api, (await buildLedger(api.db)).tenantId);
    await tell('delivered', { by: foreign });
    await acrossTenants(api.deps.db, 'eventApply', (trx) => retrySetAside(trx, null));
    expect(await traces()).toMatchObject(asideAlone());
  });
});

test('an account that was switched off still hears of what it sent', async () => {
  await api.db('provider_accounts').where({ id: account.id }).update({ active: false });
  expect((await tell('delivered')).status).toBe(200);
  expect(await stored()).toHaveLength(1);
});

test('credentials that no key opens: 503, and the vendor may come again', async () => {
  const row = await api.db('provider_accounts').where({ id: account.id }).first();
  await api
    .db('provider_accounts')
    .where({ id: account.id })
    .update({ credentials: String(row.credentials).replace('.test.', '.gone.') });
  const answer = await tell('delivered');
  expect([answer.status, answer.body.code]).toEqual([503, 'webhookNotConfigured']);
});

test('the platform’s account serves every tenant', async () => {
  const platform = {
    id: 'twilio',
    tenantId: '',
    accountSid: account.accountSid,
    authToken: newId(),
  };
  await ensurePlatformAccount(api.deps.db, api.deps.sealing, {
    id: 'twilio',
    channel: 'sms',
    vendor: 'twilio',
    name: 'Twilio',
    settings: { accountSid: platform.accountSid },
    credentials: { authToken: platform.authToken },
    senders: [],
    active: true,
    limitPerMinute: 0,
  });
  await leftBy('twilio');
  await tell('delivered', { by: platform });
  expect((await apply()).applied).toBe(1);
  expect(await message(1)).toMatchObject({ delivered_at: expect.any(Date) });
});
