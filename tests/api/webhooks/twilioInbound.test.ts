import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import { storeInbound } from '../../../models/messages/inbound';
import { ensurePlatformAccount } from '../../../models/messages/platformAccounts';
import { openWindows } from '../../../models/messages/windows';
import { startTestApi, type TestApi } from '../../support/api';
import { buildLedger } from '../../support/ledger';
import { insertTenant } from '../../support/records';
import { postForm, publicUrl, twilioAccount, type TestAccount } from './twilioGround';

let api: TestApi;
let tenantId: string;
let customerId: string;
let account: TestAccount;
let phone: string;
let numbers = 100;

beforeAll(async () => {
  api = await startTestApi({
    config: loadConfig([], { NODE_ENV: 'test', PUBLIC_URL: publicUrl }),
  });
});

afterAll(() => api.stop());

beforeEach(async () => {
  numbers += 1;
  phone = `+4915550000${numbers}`;
  tenantId = await insertTenant(api.db);
  customerId = await insertCustomer(tenantId);
  account = await twilioAccount(api, tenantId);
});

async function insertCustomer(tenant: string, consents: object = {}): Promise<string> {
  const id = newId();
  await api
    .db('customers')
    .insert({ id, tenant_id: tenant, phone, sms_consent: 'granted', ...consents });
  return id;
}

const newSid = () => `SM${newId().replaceAll('-', '')}`;

/** The customer writes to a number of the account. */
function write(
  body: string,
  given: { by?: TestAccount; from?: string; sid?: string; fields?: Record<string, string> } = {},
) {
  const { by = account, from = phone, sid = newSid(), fields = {} } = given;
  return postForm(api, {
    path: `/webhooks/twilio/${by.id}/inbound`,
    fields: {
      AccountSid: by.accountSid,
      MessageSid: sid,
      From: from,
      To: from.startsWith('whatsapp:') ? 'whatsapp:+4930000000' : '+4930000000',
      Body: body,
      NumMedia: '0',
      ...fields,
    },
    authToken: by.authToken,
  });
}

const suppressions = (tenant = tenantId) =>
  api.db('suppressions').where({ tenant_id: tenant }).orderBy('channel');
const customer = (id = customerId) => api.db('customers').where({ id }).first();
const kept = () => api.db('inbound_messages').where({ from_address: phone }).orderBy('received_at');

test('STOP suppresses the number on its channel and withdraws the consent', async () => {
  const answer = await write('Stop.');
  expect([answer.status, answer.text]).toEqual([200, expect.stringMatching(/<Response\s*\/>$/)]);
  expect(await suppressions()).toMatchObject([
    { channel: 'sms', address: phone, reason: 'unsubscribed' },
  ]);
  expect(await customer()).toMatchObject({
    sms_consent: 'withdrawn',
    sms_consent_source: 'stopMessage',
    sms_consent_at: expect.any(Date),
    whatsapp_consent: 'unknown',
    whatsapp_consent_source: null,
    email_consent: 'unknown',
  });
});

test('what was written is kept without its text', async () => {
  await write('STOP');
  await write('Where is my parcel?');
  const rows = await kept();
  expect(rows).toMatchObject([
    { account_id: account.id, tenant_id: tenantId, to_address: '+4930000000', wish: 'stop' },
    { channel: 'sms', wish: null },
  ]);
  expect(JSON.stringify(rows)).not.toContain('parcel');
});

test('on WhatsApp it stops WhatsApp', async () => {
  await write('Lasst mich', { from: `whatsapp:${phone}`, fields: { OptOutType: 'STOP' } });
  expect(await suppressions()).toMatchObject([{ channel: 'whatsapp', address: phone }]);
  expect(await customer()).toMatchObject({ sms_consent: 'granted', whatsapp_consent: 'withdrawn' });
});

test('a number that is no customer’s yet is suppressed all the same', async () => {
  await write('STOP', { from: '+491555999' });
  expect(await suppressions()).toMatchObject([{ address: '+491555999' }]);
});

test('START takes a STOP back, and is no consent by itself', async () => {
  await write('STOP');
  await write('START');
  expect(await suppressions()).toEqual([]);
  expect(await customer()).toMatchObject({
    sms_consent: 'unknown',
    sms_consent_source: 'startMessage',
  });
});

test.each([
  ['a bounce', { reason: 'bounced' }, { sms_consent: 'granted' }],
  ['what the sender stopped', { reason: 'manual' }, { sms_consent: 'granted' }],
  [
    'what was said on the preference page',
    { reason: 'unsubscribed' },
    { sms_consent: 'withdrawn', sms_consent_source: 'preferencePage' },
  ],
])('START leaves %s as it is', async (_name, suppression, consents) => {
  await api
    .db('suppressions')
    .insert({ tenant_id: tenantId, channel: 'sms', address: phone, ...suppression });
  await api.db('customers').where({ id: customerId }).update(consents);
  const before = await customer();
  await write('START');
  expect(await suppressions()).toMatchObject([suppression]);
  expect(await customer()).toEqual(before);
});

test('a STOP that the vendor told of as a refusal is taken back, too', async () => {
  await api
    .db('suppressions')
    .insert({ tenant_id: tenantId, channel: 'sms', address: phone, reason: 'unsubscribed' });
  await write('UNSTOP');
  expect(await suppressions()).toEqual([]);
});

test.each(['HELP', 'INFO', 'Do not stop', 'Danke!'])('%j changes nothing', async (body) => {
  const before = await customer();
  await write(body);
  expect(await suppressions()).toEqual([]);
  expect(await customer()).toEqual(before);
});

test('a replayed STOP after a START changes nothing', async () => {
  const sid = newSid();
  await write('STOP', { sid });
  await write('START');
  await write('STOP', { sid });
  expect(await suppressions()).toEqual([]);
  expect(await kept()).toHaveLength(2);
});

test('of wishes that arrive out of order the one written last holds', async () => {
  const note = (wish: 'stop' | 'start', minute: number) => ({
    id: newId(),
    channel: 'sms' as const,
    from: phone,
    to: '+4930000000',
    providerMessageId: newSid(),
    wish,
    writtenAt: new Date(Date.UTC(2026, 0, 1, 12, minute)),
  });
  const deliver = (...notes: ReturnType<typeof note>[]) =>
    storeInbound(api.deps.db, { accountId: account.id, tenantId, notes });
  await deliver(note('start', 20));
  await deliver(note('stop', 10));
  expect(await suppressions()).toEqual([]);
  await deliver(note('start', 30), note('stop', 31));
  expect(await suppressions()).toHaveLength(1);
  await deliver(note('start', 31));
  expect(await suppressions()).toHaveLength(1);
  await deliver(note('stop', 40), note('start', 41));
  expect(await suppressions()).toEqual([]);
});

test('STOP and START at once leave consent and suppression saying the same', async () => {
  for (let round = 0; round < 5; round += 1) {
    await Promise.all([write('STOP'), write('START'), write('STOP'), write('START')]);
    const { sms_consent } = await customer();
    expect((await suppressions()).length === 1).toBe(sms_consent === 'withdrawn');
  }
});

describe('between tenants', () => {
  test('what came to the platform’s number is shown to those who reached the customer there', async () => {
    const ledger = await buildLedger(api.db, { customers: 1 });
    const { customerIds, run } = ledger;
    await api.db('customers').whereIn('id', customerIds).update({ phone });
    await api.db('inbound_messages').insert({
      id: newId(),
      account_id: 'twilio',
      tenant_id: null,
      channel: 'whatsapp',
      from_address: phone,
      to_address: '+4930000000',
      provider_message_id: newSid(),
      written_at: new Date(),
    });
    const seen = async (by: string) => {
      const asked = { tenantId: by, accountId: 'twilio', phones: [phone] };
      const windows = await withTenant(api.deps.db, by, (trx) => openWindows(trx, asked));
      return windows.length;
    };
    const messages = api.db('messages').where({ run_id: run.id });
    expect(await messages.clone().update({ channel: 'whatsapp' })).toBe(1);
    expect(await seen(ledger.tenantId)).toBe(0);
    await messages.clone().update({ delivered_at: new Date() });
    expect(await seen(ledger.tenantId)).toBe(1);
    expect(await seen(tenantId)).toBe(0);
  });

  test('a STOP to a tenant’s number is heard by that tenant alone', async () => {
    const other = await insertTenant(api.db);
    const otherCustomer = await insertCustomer(other);
    await write('STOP');
    expect(await suppressions(other)).toEqual([]);
    expect(await customer(otherCustomer)).toMatchObject({ sms_consent: 'granted' });
  });

  test('one to the platform’s number by every tenant that has the customer', async () => {
    const platform = { ...account, id: 'twilio', authToken: newId() };
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
    const other = await insertTenant(api.db);
    const otherCustomer = await insertCustomer(other);
    const stranger = await insertTenant(api.db);
    await write('STOP', { by: platform });
    expect(await suppressions()).toHaveLength(1);
    expect(await suppressions(other)).toHaveLength(1);
    expect(await customer(otherCustomer)).toMatchObject({ sms_consent: 'withdrawn' });
    expect(await suppressions(stranger)).toEqual([]);
    await write('START', { by: platform });
    expect([await suppressions(), await suppressions(other)]).toEqual([[], []]);
  });
});

describe('the window of WhatsApp', () => {
  const windows = (phones: string[], by = { tenantId, accountId: account.id }) =>
    withTenant(api.deps.db, by.tenantId, (trx) => openWindows(trx, { ...by, phones }));

  test('is open for 24 hours after the last message, for the number written to', async () => {
    await write('Hello', { from: `whatsapp:${phone}` });
    await write('Anybody?', { from: `whatsapp:${phone}` });
    const [, last] = await kept();
    expect(await windows([phone, '+491555998'])).toEqual([
      {
        phone,
        ourNumber: '+4930000000',
        openUntil: new Date(last.written_at.getTime() + 24 * 3_600_000),
      },
    ]);
  });

  test('is closed a day later, by a text message, and to others', async () => {
    await write('Hello', { from: `whatsapp:${phone}` });
    const other = await insertTenant(api.db);
    expect(await windows([phone], { tenantId: other, accountId: account.id })).toEqual([]);
    expect(await windows([phone], { tenantId, accountId: newId() })).toEqual([]);
    await api
      .db('inbound_messages')
      .where({ from_address: phone })
      .update({ written_at: api.db.raw(`now() - interval '24 hours 1 second'`) });
    expect(await windows([phone])).toEqual([]);
    await write('Hello');
    expect(await windows([phone])).toEqual([]);
  });
});
