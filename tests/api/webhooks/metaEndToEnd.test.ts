import {
  createAccountSenders,
  type AccountSenders,
} from '../../../activities/messages/accountSenders';
import { acrossTenants, withTenant } from '../../../models/base';
import { applyEvents } from '../../../models/messages/applyEvents';
import { openWindows } from '../../../models/messages/windows';
import { startTestApi, type TestApi } from '../../support/api';
import { buildLedger, type TestLedger } from '../../support/ledger';
import { clearFaults, setFaults } from '../../support/sandboxControl';
import { api as askSandbox, closeAll, openSandbox } from '../../sandbox/support';
import { metaAccount, type TestNumber } from './metaGround';

let api: TestApi;
let senders: AccountSenders;
let sandbox: Awaited<ReturnType<typeof openSandbox>>;
let ledger: TestLedger;
let number: TestNumber;

beforeAll(async () => {
  api = await startTestApi();
  sandbox = await openSandbox();
  senders = createAccountSenders({
    db: api.deps.db,
    sealing: api.deps.sealing,
    timeoutMs: 5_000,
    publicUrl: api.url,
    onlyPublic: false,
  });
});

afterAll(async () => {
  await senders.close();
  await closeAll();
  await api.stop();
});

beforeEach(async () => {
  ledger = await buildLedger(api.db, { customers: 3 });
  number = await metaAccount(api, ledger.tenantId, { baseUrl: sandbox.url });
  await api.db('campaign_runs').where({ id: ledger.run.id }).update({ account_id: number.id });
  // Verified by the challenge first, as the vendor does.
  await askSandbox(sandbox, '/meta/webhook', 'PUT', {
    url: `${api.url}/webhooks/meta/${number.id}`,
  });
});

afterEach(() => clearFaults(sandbox));

async function send(messageN: number, to: string) {
  const sender = await senders.of(ledger.tenantId, number.id);
  return sender.send(
    { channel: 'whatsapp', to, sender: null, content: { kind: 'text', body: 'Hello' } },
    { runId: ledger.run.id, dispatchN: 1, attempt: 1, messageN },
  );
}

const write = (from: string, body: string) =>
  askSandbox<{ status: number }>(sandbox, '/meta/inbound', 'POST', { from, body });
const flush = () => askSandbox<{ failed: number }>(sandbox, '/events/flush', 'POST');
const apply = () => acrossTenants(api.deps.db, 'eventApply', (trx) => applyEvents(trx, 1000));
const messages = () => api.db('messages').where({ run_id: ledger.run.id }).orderBy('n');
const suppressions = () =>
  api.db('suppressions').where({ tenant_id: ledger.tenantId }).orderBy('address');
const windowsOf = (phones: string[]) =>
  withTenant(api.deps.db, ledger.tenantId, (trx) =>
    openWindows(trx, { tenantId: ledger.tenantId, accountId: number.id, phones }),
  );

test('who writes opens the window, and what is sent then becomes facts', async () => {
  expect((await write('+49301234567', 'Hello?')).status).toBe(200);
  expect((await write('+15012000001', 'Hello?')).status).toBe(200);
  const open = await windowsOf(['+49301234567', '+15012000001', '+49301234599']);
  expect(open.map(({ phone }) => phone)).toEqual(['+49301234567', '+15012000001']);
  await setFaults(sandbox, {
    eventsHold: true,
    eventsDuplicate: 1,
    eventsShuffle: true,
    seed: 'e2e',
  });
  expect(await send(1, '+49301234567')).toMatchObject({ kind: 'accepted' });
  expect(await send(2, '+15012000001')).toMatchObject({ kind: 'accepted' });
  expect(await flush()).toMatchObject({ failed: 0 });
  expect(await api.db('message_events').where({ run_id: ledger.run.id })).toHaveLength(5);
  await apply();
  expect(await messages()).toMatchObject([
    { delivered_at: expect.any(Date), first_opened_at: null },
    { delivered_at: expect.any(Date), first_opened_at: expect.any(Date) },
    { delivered_at: null, first_opened_at: null },
  ]);
});

test('STOP by a message, and by what WhatsApp offers for it', async () => {
  await write('+49301234567', 'STOP');
  await askSandbox(sandbox, '/meta/preference', 'POST', { from: '+49301234568', value: 'stop' });
  await apply();
  expect(await suppressions()).toMatchObject([
    { channel: 'whatsapp', address: '+49301234567', reason: 'unsubscribed' },
    { channel: 'whatsapp', address: '+49301234568', reason: 'unsubscribed' },
  ]);
  // The vendor tells seconds, and within one a stop wins.
  await api
    .db('inbound_messages')
    .where({ from_address: '+49301234567' })
    .update({ written_at: api.db.raw(`written_at - interval '1 second'`) });
  await write('+49301234567', 'START');
  expect(await suppressions()).toHaveLength(1);
});
