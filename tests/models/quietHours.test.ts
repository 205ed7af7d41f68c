import type { Knex } from '../../lib/db';
import { withTenant } from '../../models/base';
import { replanLate, replanRun } from '../../models/campaigns/replanning';
import { requestReschedule } from '../../models/campaigns/runs';
import { settleOverdueDoubts } from '../../models/messages/doubt';
import { settleCall } from '../../models/messages/settle';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

const hourMs = 3_600_000;
const zones = ['UTC'];

/** The hour of a UTC clock so many hours from now. */
function clock(hours: number): string {
  return new Date(Date.now() + hours * hourMs).toISOString().slice(11, 16);
}

const quietNow = () => ({ from: clock(-1), to: clock(2) });

function startOf({ to }: { to: string }): Date {
  const today = new Date(`${new Date().toISOString().slice(0, 10)}T${to}:00Z`);
  return today.getTime() > Date.now() ? today : new Date(today.getTime() + 24 * hourMs);
}

const newestWave = (ledger: TestLedger) =>
  db('waves')
    .where({ run_id: ledger.run.id })
    .orderBy([
      { column: 'plan_version', order: 'desc' },
      { column: 'n', order: 'desc' },
    ])
    .first();

test('a wave that waits for their end says so, and nothing of it can be claimed before', async () => {
  const quietHours = quietNow();
  const ledger = await buildLedger(db, { zones, schedule: { kind: 'now', quietHours } });
  expect(ledger.plan.waves).toMatchObject([
    { n: 1, startsAt: startOf(quietHours), waitsFor: 'quietHours' },
  ]);
  expect(await ledger.claim()).toMatchObject({ kind: 'notDueUntil', until: startOf(quietHours) });
});

test('what they cut off goes on when they end', async () => {
  const quietHours = { from: clock(1), to: clock(3) };
  const ledger = await buildLedger(db, {
    zones,
    schedule: { kind: 'now', windowMinutes: 240, quietHours },
  });
  const begins = startOf({ to: quietHours.from });
  expect(ledger.plan.waves).toMatchObject([{ closesAt: begins, waitsFor: null }]);
  await withTenant(db, ledger.tenantId, (trx) =>
    replanLate(trx, {
      tenantId: ledger.tenantId,
      runId: ledger.run.id,
      planVersion: 1,
      waveN: 1,
      now: begins,
    }),
  );
  expect(await newestWave(ledger)).toMatchObject({
    kind: 'late',
    starts_at: startOf(quietHours),
    waits_for: 'quietHours',
  });
});

test('a new schedule is held to its own', async () => {
  const ledger = await buildLedger(db, { zones });
  const quietHours = quietNow();
  const key = { tenantId: ledger.tenantId, runId: ledger.run.id };
  await withTenant(db, ledger.tenantId, async (trx) => {
    await requestReschedule(trx, {
      ...key,
      schedule: { kind: 'now', quietHours },
      actor: { kind: 'user', id: null },
    });
    await replanRun(trx, { ...key, now: new Date() });
  });
  expect(await newestWave(ledger)).toMatchObject({
    plan_version: 2,
    starts_at: startOf(quietHours),
    waits_for: 'quietHours',
  });
});

test('doubts that are sent again wait for their end, zone by zone', async () => {
  const ledger = await buildLedger(db, {
    customers: 4,
    zones: ['UTC', 'Etc/GMT-12'],
    doubtPolicy: 'sendAgain',
    doubtDeadlineMs: 0,
  });
  const key = { tenantId: ledger.tenantId, runId: ledger.run.id };
  for (const _ of ['UTC', 'Etc/GMT-12']) {
    const dispatch = await ledger.claimed();
    await ledger.gate(dispatch);
    await withTenant(db, ledger.tenantId, (trx) =>
      settleCall(
        trx,
        { ...key, dispatchN: dispatch.n, attempt: 1 },
        { outcome: 'in_doubt', status: null, reason: 'timeout' },
      ),
    );
  }
  const quietHours = quietNow();
  const settle = () =>
    withTenant(db, ledger.tenantId, (trx) =>
      settleOverdueDoubts(trx, { ...key, windowMinutes: 60 }),
    );
  // They begin while the calls are in doubt.
  await db('campaign_runs')
    .where({ id: key.runId })
    .update({ schedule: JSON.stringify({ kind: 'now', quietHours }) });
  expect(await settle()).toMatchObject({ unconfirmed: 0, again: 2 });
  expect(await settle()).toMatchObject({ unconfirmed: 0, again: 0 });
  const waves = await db('waves').where({ run_id: ledger.run.id, kind: 'again' }).orderBy('n');
  expect(waves).toMatchObject([
    { n: 2, time_zones: ['Etc/GMT-12'], waits_for: null },
    { n: 3, time_zones: ['UTC'], waits_for: 'quietHours', starts_at: startOf(quietHours) },
  ]);
  expect(await ledger.claim({ wave: ledger.wave(2) })).toMatchObject({ kind: 'claimed' });
  expect(await ledger.claim({ wave: ledger.wave(3) })).toMatchObject({ kind: 'notDueUntil' });
});
