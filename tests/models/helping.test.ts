import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import {
  claimDispatch,
  releaseEarlierAttempts,
  unclaimDispatch,
  type ClaimedDispatch,
} from '../../models/messages/claims';
import { cancelRestOfWave } from '../../models/messages/doubt';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

test('a lane whose wave has nothing to claim takes what another wave of the run has due', async () => {
  const ledger = await twoWaves();
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ waveN: 1 });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({
    kind: 'claimed',
    waveN: 2,
    dispatch: { timeZone: 'America/New_York', claimN: 1 },
  });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ kind: 'busy' });
  expect(await ledger.claim({ wave: ledger.wave(2) })).toMatchObject({ kind: 'busy' });
});

test.each([
  { title: 'whose instant has not come', opens: '1 hour', closes: '2 hours' },
  { title: 'whose window is over', opens: '-2 hours', closes: '-1 hour' },
])('but nothing of a wave $title', async ({ opens, closes }) => {
  const ledger = await twoWaves();
  await ledger.claim({ wave: ledger.wave(1) });
  await moveWave(ledger, 2, { opens, closes });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ kind: 'busy' });
  expect(await db('dispatches').where({ run_id: ledger.run.id, wave_n: 2 })).toMatchObject([
    { state: 'planned' },
  ]);
});

test('nor what waits, nor of another plan or a run that is paused', async () => {
  const ledger = await twoWaves();
  await ledger.claim({ wave: ledger.wave(1) });
  const other = () => db('dispatches').where({ run_id: ledger.run.id, wave_n: 2 });
  await other().update({ not_before: db.raw(`now() + interval '1 hour'`) });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ kind: 'busy' });
  await other().update({ not_before: null, plan_version: 2 });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ kind: 'busy' });
  await other().update({ plan_version: 1 });
  await db('campaign_runs').where({ id: ledger.run.id }).update({ gate: 'paused' });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ kind: 'paused' });
  await db('campaign_runs').where({ id: ledger.run.id }).update({ gate: 'open' });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ waveN: 2 });
});

test.each([
  { title: 'has its instant before it', opens: '1 hour', closes: '2 hours', kind: 'notDueUntil' },
  { title: 'is late with something left', opens: '-2 hours', closes: '-1 hour', kind: 'closed' },
])('a lane whose wave $title helps nobody', async ({ opens, closes, kind }) => {
  const ledger = await twoWaves();
  await moveWave(ledger, 1, { opens, closes });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ kind });
  expect(await states(ledger)).toEqual(['planned', 'planned']);
});

test('nor does one whose wave waits for its turn', async () => {
  const ledger = await twoWaves();
  await db('dispatches')
    .where({ run_id: ledger.run.id, wave_n: 1 })
    .update({ not_before: db.raw(`now() + interval '1 hour'`), wait_reason: 'rateLimit' });
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({
    kind: 'notDueUntil',
    reason: 'rateLimit',
  });
  expect(await states(ledger)).toEqual(['planned', 'planned']);
});

test('a later attempt of a slice lets go of what the one before held of other waves', async () => {
  const ledger = await twoWaves();
  const slice = { workflowRunId: newId(), activityId: '5', attempt: 1 };
  for (let n = 0; n < 2; n += 1) {
    await claimDispatch(db, ledger.wave(1), slice, 60_000);
  }
  expect(await states(ledger)).toEqual(['claimed', 'claimed']);
  await withTenant(db, ledger.tenantId, (trx) =>
    releaseEarlierAttempts(trx, ledger.wave(1), { ...slice, attempt: 2 }),
  );
  expect(await states(ledger)).toEqual(['planned', 'planned']);
});

test('a wave whose window is over has ended only when no lane can give anything back', async () => {
  const ledger = await twoWaves();
  const dispatch = await claimedOfOther(ledger);
  await moveWave(ledger, 2, { opens: '-2 hours', closes: '-1 hour' });
  expect(await ledger.claim({ wave: ledger.wave(2) })).toMatchObject({ kind: 'busy' });
  await giveBack(ledger, dispatch);
  expect(await ledger.claim({ wave: ledger.wave(2) })).toEqual({ kind: 'closed' });
});

test('of a wave that was cancelled nothing leaves any more, whoever holds it', async () => {
  const ledger = await twoWaves();
  const dispatch = await claimedOfOther(ledger);
  const cancel = () =>
    withTenant(db, ledger.tenantId, (trx) => cancelRestOfWave(trx, ledger.wave(2)));
  expect(await cancel()).toEqual({ cancelled: 0, open: 1 });
  expect(await ledger.gate(dispatch)).toEqual({ kind: 'shut' });
  await giveBack(ledger, dispatch);
  expect(await ledger.claim({ wave: ledger.wave(1) })).toMatchObject({ kind: 'busy' });
  expect(await states(ledger)).toEqual(['claimed', 'planned']);
  expect(await cancel()).toEqual({ cancelled: 1, open: 0 });
  expect(await cancel()).toEqual({ cancelled: 0, open: 0 });
  expect(await states(ledger)).toEqual(['claimed', 'cancelled']);
});

/** Two waves of a dispatch each, both of them due. */
async function twoWaves(): Promise<TestLedger> {
  const ledger = await buildLedger(db, {
    customers: 4,
    zones: ['Europe/Paris', 'America/New_York'],
    schedule: {
      kind: 'localHour',
      date: '2026-03-28',
      time: '09:00',
      unknownZone: 'tenant',
      hourPast: 'nextDay',
    },
    now: new Date('2026-03-27T00:00:00Z'),
  });
  for (const n of [1, 2]) {
    await moveWave(ledger, n, { opens: '-1 minute', closes: '1 hour' });
  }
  return ledger;
}

async function moveWave(
  ledger: TestLedger,
  n: number,
  { opens, closes }: { opens: string; closes: string },
): Promise<void> {
  await db.raw(
    `update waves set starts_at = now() + cast(:opens as interval),
            closes_at = now() + cast(:closes as interval)
      where run_id = :runId and n = :n`,
    { runId: ledger.run.id, n, opens, closes },
  );
}

/** What a lane of the first wave holds of the second. */
async function claimedOfOther(ledger: TestLedger): Promise<ClaimedDispatch> {
  await ledger.claim({ wave: ledger.wave(1) });
  const claim = await ledger.claim({ wave: ledger.wave(1) });
  if (claim.kind !== 'claimed') {
    throw new Error(`nothing to help with: ${claim.kind}`);
  }
  expect(claim.waveN).toBe(2);
  return claim.dispatch;
}

async function giveBack(ledger: TestLedger, dispatch: ClaimedDispatch): Promise<void> {
  await withTenant(db, ledger.tenantId, (trx) =>
    unclaimDispatch(trx, ledger.tenantId, ledger.run.id, dispatch, null),
  );
}

async function states(ledger: TestLedger): Promise<string[]> {
  const rows = await db('dispatches').where({ run_id: ledger.run.id }).orderBy('wave_n');
  return rows.map(({ state }) => state);
}
