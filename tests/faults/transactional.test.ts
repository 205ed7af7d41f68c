import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import type { OurProcess } from '../../bench/chaos/ourProcess';
import { sandboxFigures, setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { setLimits } from '../../models/messages/accountLimits';
import { until } from '../support/conditions';
import { insertTenant } from '../support/records';
import { dispatchesOf } from '../support/transactional';
import { timings } from './support';
import { tokenFor } from '../support/tokens';

let ground: ProcessGround;
let worker: OurProcess;

beforeAll(async () => {
  ground = await startProcessGround({ ...timings, workers: 1 });
  worker = ground.workers[0] ?? ground.api;
});

afterEach(() => setSandboxFaults(ground.sandboxUrl, {}));

afterAll(() => ground.stop());

const count = 20;

/** Asks the API for twenty messages of a new tenant; answers the tenant. */
async function askForMany(): Promise<string> {
  const tenantId = await insertTenant(ground.db);
  const token = await tokenFor(ground, tenantId);
  const answers = await Promise.all(
    Array.from({ length: count }, (_, n) =>
      fetch(`${ground.apiUrl}/api/v1/messages`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({
          channel: 'email',
          to: { email: `${tenantId}.${n}@example.com` },
          from: { email: 'shop@example.com' },
          content: { subject: 'Your code', html: '<p>123</p>' },
        }),
      }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: count }, () => 202));
  return tenantId;
}

async function statesOf(tenantId: string): Promise<string[]> {
  return (await dispatchesOf(ground.db, tenantId)).map(({ state }) => String(state));
}

const untilStates = (tenantId: string, what: string, are: (states: string[]) => boolean) =>
  until(what, async () => are(await statesOf(tenantId)), 60_000);

test('a worker killed between claim and call has called nobody, and everybody is called once', async () => {
  const before = await sandboxFigures(ground.sandboxUrl);
  await ground.db.transaction((trx) =>
    setLimits(trx, 'sendgrid', [{ per: 'minute', unit: 'messages', most: 6_000_000 }]),
  );
  // A claim has to ask for rate, and waits there.
  const holder = await ground.db.transaction();
  await holder('provider_limits').forUpdate().select('account_id');
  const tenantId = await askForMany();
  await untilStates(tenantId, 'messages to be claimed', (states) => states.includes('claimed'));
  await worker.kill9();
  await holder.commit();
  expect(await statesOf(tenantId)).not.toContain('calling');

  await worker.start();
  await untilStates(tenantId, 'all to be accepted', (states) =>
    states.every((state) => state === 'accepted'),
  );
  const after = await sandboxFigures(ground.sandboxUrl);
  expect(after.delivered - before.delivered).toBe(count);
  expect(after.distinctRecipients - before.distinctRecipients).toBe(count);
});

test('a worker killed between call and reply leaves doubts: what was taken is proven by events, nobody is called twice', async () => {
  const before = await sandboxFigures(ground.sandboxUrl);
  // What is accepted is accepted before the wait.
  await setSandboxFaults(ground.sandboxUrl, { latencyMs: 1_000 });
  const tenantId = await askForMany();
  const taken = async () => (await sandboxFigures(ground.sandboxUrl)).delivered - before.delivered;
  await until('the provider to have taken some', async () => (await taken()) > 0);
  await worker.kill9();
  expect(await statesOf(tenantId)).toContain('calling');

  await setSandboxFaults(ground.sandboxUrl, {});
  await worker.start();
  // Those that had passed the gate when the process died may never have left: they stay in doubt.
  await until(
    'everything taken to be accepted, and the rest to be in doubt',
    async () => {
      const states = await statesOf(tenantId);
      const accepted = states.filter((state) => state === 'accepted').length;
      const inDoubt = states.filter((state) => state === 'in_doubt').length;
      return accepted + inDoubt === count && accepted === (await taken());
    },
    60_000,
  );
  const after = await sandboxFigures(ground.sandboxUrl);
  expect(after.distinctRecipients - before.distinctRecipients).toBe(
    after.delivered - before.delivered,
  );
  const doubts = (await dispatchesOf(ground.db, tenantId)).filter(
    ({ state }) => state === 'in_doubt',
  );
  expect(doubts.every(({ reason }) => reason === 'processGone')).toBe(true);
});
