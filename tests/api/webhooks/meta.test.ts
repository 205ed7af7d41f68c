import { withTenant, acrossTenants } from '../../../models/base';
import { applyEvents } from '../../../models/messages/applyEvents';
import { openWindows } from '../../../models/messages/windows';
import { startTestApi, type TestApi } from '../../support/api';
import { buildLedger, type TestLedger } from '../../support/ledger';
import { insertTenant } from '../../support/records';
import {
  anySecret,
  bodyOf,
  entryOf,
  messageOf,
  metaAccount,
  postMeta,
  wamid,
  type TestNumber,
} from './metaGround';

let api: TestApi;
let ledger: TestLedger;
let number: TestNumber;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

beforeEach(async () => {
  for (const table of ['message_events', 'waiting_events', 'suppressions', 'inbound_messages']) {
    await api.db(table).delete();
  }
  ledger = await buildLedger(api.db, { customers: 3 });
  number = await metaAccount(api, ledger.tenantId);
  await leftBy(number.id);
});

const leftBy = (accountId: string) =>
  api.db('campaign_runs').where({ id: ledger.run.id }).update({ account_id: accountId });

/** A status of a message of the ledger, as the vendor tells it. */
function status(name: string, given: { n?: number; key?: string; fields?: object } = {}): object {
  const { n = 1, key = `${ledger.run.id}.1.1.${n}`, fields = {} } = given;
  return {
    id: wamid(),
    status: name,
    timestamp: String(Math.floor(Date.now() / 1_000)),
    recipient_id: '4915550001',
    biz_opaque_callback_data: key,
    ...fields,
  };
}

const post = (body: string, by: TestNumber = number) =>
  postMeta(api, { accountId: by.id, body, appSecret: by.appSecret });
const tell = (...statuses: object[]) => post(bodyOf(number.phoneNumberId, { statuses }));
const hear = (...messages: object[]) => post(bodyOf(number.phoneNumberId, { messages }));
const stored = () => api.db('message_events').orderBy('id');
const apply = () => acrossTenants(api.deps.db, 'eventApply', (trx) => applyEvents(trx, 1000));
const message = (n: number) => api.db('messages').where({ run_id: ledger.run.id, n }).first();
const suppressions = () => api.db('suppressions').orderBy('address');

describe('the address of a webhook', () => {
  const ask = (id: string, query: Record<string, string>) =>
    api.send('get', `/webhooks/meta/${id}?${new URLSearchParams(query).toString()}`);
  const right = () => ({
    'hub.mode': 'subscribe',
    'hub.verify_token': number.verifyToken,
    'hub.challenge': '1158201444',
  });

  test('is the account’s when it knows the token', async () => {
    const answer = await ask(number.id, right());
    expect([answer.status, answer.text]).toEqual([200, '1158201444']);
    expect(answer.headers.get('Content-Type')).toMatch('text/plain');
  });

  test.each([
    ['another token', { 'hub.verify_token': 'another-token-of-theirs' }],
    ['no token', { 'hub.verify_token': '' }],
    ['another mode', { 'hub.mode': 'unsubscribe' }],
    ['markup for a challenge', { 'hub.challenge': '<script>' }],
    ['no challenge', { 'hub.challenge': '' }],
  ])('is not with %s', async (_name, change) => {
    const answer = await ask(number.id, { ...right(), ...change });
    expect([answer.status, answer.body.code]).toEqual([403, 'webhookNotVerified']);
  });

  test('is not an unknown account’s, with nothing, or with what is none', async () => {
    const answers = [
      await ask(anySecret(), right()),
      await ask(number.id, {}),
      await api.send('get', `/webhooks/meta/${number.id}?hub.mode=a&hub.mode=b`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 422]);
  });
});

test('statuses become facts and prove their calls', async () => {
  const answer = await tell(status('sent'), status('delivered'), status('read', { n: 2 }));
  expect([answer.status, answer.body.data]).toEqual([200, { received: 3, stored: 3, skipped: 0 }]);
  expect((await stored()).map(({ source, account_id }) => [source, account_id])).toEqual(
    Array.from({ length: 3 }, () => ['meta', number.id]),
  );
  await apply();
  expect(await message(1)).toMatchObject({ delivered_at: expect.any(Date) });
  expect(await message(2)).toMatchObject({ first_opened_at: expect.any(Date) });
});

test('the same statuses again, in another order, store nothing', async () => {
  const statuses = [status('sent'), status('delivered'), status('failed', { n: 3 })];
  await tell(...statuses);
  const again = await tell(...statuses.toReversed());
  expect(again.body.data).toEqual({ received: 3, stored: 0, skipped: 0 });
});

test('what cannot be read gets in the way of nothing else', async () => {
  const answer = await tell(
    status('delivered'),
    { id: 7 },
    status('moonwalked'),
    status('sent', { key: 'x' }),
  );
  expect(answer.body.data).toEqual({ received: 4, stored: 1, skipped: 3 });
});

describe('customers who write', () => {
  const phone = '+4915550001';

  test('STOP suppresses WhatsApp at once, once', async () => {
    const stop = messageOf(phone, 'STOP');
    expect((await hear(stop)).body.data).toEqual({ received: 1, stored: 1, skipped: 0 });
    expect((await hear(stop)).body.data).toEqual({ received: 1, stored: 0, skipped: 0 });
    expect(await suppressions()).toMatchObject([
      { tenant_id: ledger.tenantId, channel: 'whatsapp', address: phone, reason: 'unsubscribed' },
    ]);
  });

  test('a STOP that comes days late does not undo the START after it', async () => {
    const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);
    await hear(messageOf(phone, 'START', { at: daysAgo(1) }));
    await hear(messageOf(phone, 'STOP', { at: daysAgo(3) }));
    expect(await suppressions()).toEqual([]);
  });

  test('many in one post, of one person and of others', async () => {
    const at = (second: number) => ({ at: new Date(Date.now() - 60_000 + second * 1_000) });
    const answer = await hear(
      messageOf(phone, 'STOP', at(1)),
      messageOf(phone, 'START', at(2)),
      messageOf('+4915550002', 'Hello', at(3)),
      messageOf('+4915550003', 'stop', at(4)),
    );
    expect(answer.body.data).toEqual({ received: 4, stored: 4, skipped: 0 });
    expect((await suppressions()).map(({ address }) => address)).toEqual(['+4915550003']);
  });

  test('opens the window from when it was written', async () => {
    const written = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000);
    await hear(messageOf(phone, 'Hello', { at: written }));
    const windows = await withTenant(api.deps.db, ledger.tenantId, (trx) =>
      openWindows(trx, { tenantId: ledger.tenantId, accountId: number.id, phones: [phone] }),
    );
    expect(windows).toEqual([
      {
        phone,
        ourNumber: '+15005550006',
        openUntil: new Date(written.getTime() + 24 * 3_600_000),
      },
    ]);
  });
});

describe('an app posts for all its numbers', () => {
  test('each is its own account’s, in the same tenant', async () => {
    const second = await metaAccount(api, ledger.tenantId, { phoneNumberId: '100000000000002' });
    const body = JSON.stringify({
      object: 'whatsapp_business_account',
      entry: [
        entryOf(number.phoneNumberId, { statuses: [status('delivered')] }),
        entryOf(second.phoneNumberId, { messages: [messageOf('+4915550009', 'Hello')] }),
      ],
    });
    expect((await post(body)).body.data).toEqual({ received: 2, stored: 2, skipped: 0 });
    expect(await stored()).toMatchObject([{ account_id: number.id, set_aside: null }]);
    expect(await api.db('inbound_messages')).toMatchObject([{ account_id: second.id }]);
  });

  test('what is of another tenant’s number, or of nobody’s, is passed over', async () => {
    const other = await insertTenant(api.db);
    await metaAccount(api, other, { phoneNumberId: '100000000000003' });
    const messages = [messageOf('+4915550001', 'STOP')];
    const body = JSON.stringify({
      object: 'whatsapp_business_account',
      entry: [
        entryOf('100000000000003', { messages, statuses: [status('delivered')] }),
        entryOf('100000000000004', { messages }),
      ],
    });
    expect((await post(body)).body.data).toEqual({ received: 3, stored: 0, skipped: 3 });
    expect([await stored(), await suppressions(), await api.db('inbound_messages')]).toEqual([
      [],
      [],
      [],
    ]);
  });

  test('a status of a run that left by another account is set aside', async () => {
    const second = await metaAccount(api, ledger.tenantId, { phoneNumberId: '100000000000002' });
    await post(bodyOf(second.phoneNumberId, { statuses: [status('delivered')] }), second);
    expect(await stored()).toMatchObject([{ set_aside: 'wrongAccount', run_id: null }]);
    await apply();
    expect(await message(1)).toMatchObject({ delivered_at: null });
  });
});
