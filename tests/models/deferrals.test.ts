import type { MessageEvent } from '../../domain/messages/events';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { noteDeferrals } from '../../models/messages/deferrals';
import { applyEvents, storeEvents } from '../../models/messages/events';
import { ensureAccount } from '../../models/messages/accountLimits';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

/** A run of an account of its own. */
async function buildRun(): Promise<TestLedger & { accountId: string }> {
  const ledger = await buildLedger(db, { customers: 60 });
  const accountId = newId();
  await db.transaction((trx) => ensureAccount(trx, { id: accountId, tenantId: null }, 0));
  await db('campaign_runs').where({ id: ledger.run.id }).update({ account_id: accountId });
  return { ...ledger, accountId };
}

const minuteMs = 60_000;

/** Stores and applies so many events of each kind in one batch; answers who was slowed down. */
async function tell(
  { run }: TestLedger,
  counts: { deferred?: number; delivered?: number },
  occurredAt = new Date(),
): Promise<string[]> {
  const events = (['deferred', 'delivered'] as const).flatMap((kind) =>
    Array.from({ length: counts[kind] ?? 0 }, (_, i): MessageEvent => ({
      source: 'sendgrid',
      providerEventId: newId(),
      runId: run.id,
      dispatchN: 1,
      attempt: 1,
      messageN: (i % 60) + 1,
      kind,
      occurredAt,
      detail: {},
      machine: false,
      suppress: null,
    })),
  );
  await acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, events));
  const { eventIds } = await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 10_000));
  return acrossTenants(db, 'eventApply', (trx) => noteDeferrals(trx, eventIds));
}

const paceOf = async (accountId: string) =>
  Number((await db('provider_accounts').where({ id: accountId }).first()).slowed_to);

test('an account of which many messages are put off goes at half its pace, and again later', async () => {
  const run = await buildRun();
  expect(await tell(run, { deferred: 20, delivered: 30 })).toEqual([run.accountId]);
  expect(await paceOf(run.accountId)).toBe(0.5);
  // The slower pace has to show first.
  expect(await tell(run, { deferred: 20 })).toEqual([]);
  await db('provider_accounts')
    .where({ id: run.accountId })
    .update({ slowed_at: new Date(Date.now() - minuteMs) });
  expect(await tell(run, { deferred: 20 })).toEqual([run.accountId]);
  expect(await paceOf(run.accountId)).toBeLessThan(0.31);
});

test.each([
  ['few', { deferred: 19, delivered: 1 }],
  ['a small share', { deferred: 30, delivered: 270 }],
  ['nothing', { delivered: 100 }],
])('%s put off slows nobody down', async (_, counts) => {
  const run = await buildRun();
  expect(await tell(run, counts)).toEqual([]);
  expect(await paceOf(run.accountId)).toBe(1);
});

test('batches add up, and what is minutes ago fades', async () => {
  const run = await buildRun();
  expect(await tell(run, { deferred: 12 })).toEqual([]);
  await db('provider_deferrals')
    .where({ account_id: run.accountId })
    .update({ at: new Date(Date.now() - 10 * minuteMs) });
  expect(await tell(run, { deferred: 12 })).toEqual([]);
  expect(await tell(run, { deferred: 12 })).toEqual([run.accountId]);
});

test('what happened minutes ago does not count, however late it is told', async () => {
  const run = await buildRun();
  expect(await tell(run, { deferred: 50 }, new Date(Date.now() - 5 * minuteMs))).toEqual([]);
});

test('another account goes on as it did', async () => {
  const [run, other] = [await buildRun(), await buildRun()];
  await tell(other, { delivered: 50 });
  await tell(run, { deferred: 50 });
  expect([await paceOf(run.accountId), await paceOf(other.accountId)]).toEqual([0.5, 1]);
});
