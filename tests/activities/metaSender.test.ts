import type { AccountSenders } from '../../activities/messages/accountSenders';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { createProviderAccount } from '../../models/messages/accounts';
import { DEMO_META_ACCOUNT, type Sandbox } from '../../sandbox';
import { api, closeAll, openSandbox } from '../sandbox/support';
import { testSealing, testSenders } from '../support/accounts';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { insertTenant } from '../support/records';

let database: TestDatabase;
let sandbox: Sandbox;
let senders: AccountSenders;
let tenantId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  sandbox = await openSandbox();
  senders = testSenders(database.db);
  tenantId = await insertTenant(database.db);
});
afterEach(async () => {
  await senders.close();
  await closeAll();
});
afterAll(() => database.drop());

async function metaAccount(): Promise<string> {
  const id = newId();
  const { phoneNumberId, businessAccountId, accessToken, appSecret } = DEMO_META_ACCOUNT;
  await withTenant(database.db, tenantId, (trx) =>
    createProviderAccount(
      trx,
      testSealing,
      { tenantId, id },
      {
        vendor: 'meta',
        channel: 'whatsapp',
        name: 'WhatsApp',
        active: true,
        senders: [],
        settings: { phoneNumberId, businessAccountId, baseUrl: sandbox.url },
        credentials: { accessToken, appSecret },
      },
      { createdBy: newId(), limitPerMinute: 0 },
    ),
  );
  return id;
}

const reference = { runId: newId(), dispatchN: 3, attempt: 1, messageN: 88 };

test('an account at Meta sends by its number, without naming a sender', async () => {
  const sender = await senders.of(tenantId, await metaAccount());
  expect(sender).toMatchObject({ channel: 'whatsapp', vendor: 'meta', batch: null });
  const outcome = await sender.send(
    {
      channel: 'whatsapp',
      to: '+49301234567',
      sender: null,
      content: { kind: 'template', id: 'parcel', language: 'de', variables: { 1: 'Ana' } },
    },
    reference,
  );
  expect(outcome.kind).toBe('accepted');
  const { items } = await api<{ items: object[] }>(sandbox, `/messages?run=${reference.runId}`);
  expect(items).toMatchObject([
    {
      to: '+49301234567',
      from: DEMO_META_ACCOUNT.phoneNumberId,
      customArgs: { carillon_d: '3.1', carillon_m: '88' },
    },
  ]);
});

test('what it cannot send is refused, and nobody can be asked for a call in doubt', async () => {
  const sender = await senders.of(tenantId, await metaAccount());
  const sms = { channel: 'sms', to: '+49301234567', sender: null, body: 'Hello' } as const;
  expect(await sender.send(sms, reference)).toMatchObject({ kind: 'messageRefused' });
  expect('lookUp' in sender).toBe(false);
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 0 });
});
