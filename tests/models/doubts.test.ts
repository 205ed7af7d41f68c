import type { DoubtPolicy } from '../../domain/campaigns/types';
import type { DoubtEnd } from '../../domain/messages/doubts/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { createMetrics } from '../../lib/metrics';
import { acrossTenants, withTenant } from '../../models/base';
import { setGate } from '../../models/campaigns/runs';
import { settleOverdueDoubts } from '../../models/messages/doubt';
import { doubtsWhere } from '../../models/messages/doubtsList';
import { settleDoubts, type DoubtChoice } from '../../models/messages/doubtsSettle';
import { applyEvents, storeEvents } from '../../models/messages/events';
import { settleCall } from '../../models/messages/settle';
import { collectDoubtMetrics } from '../../workers/doubtMetrics';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

describe('the policy after the deadline', () => {
  test('assumeAccepted counts the call as accepted and says that nothing proved it', async () => {
    const ledger = await inDoubt({ doubtPolicy: 'assumeAccepted', doubtDeadlineMs: 0 });
    expect(await overdue(ledger)).toEqual({ assumed: 1, unconfirmed: 0, again: 0 });
    expect(await ledger.dispatch(1)).toMatchObject({
      state: 'accepted',
      reason: null,
      doubt_until: null,
    });
    expect(await attempt(ledger)).toMatchObject({ outcome: 'accepted', proven_by: 'policy' });
    expect(await overdue(ledger)).toEqual({ assumed: 0, unconfirmed: 0, again: 0 });
  });

  test.each(['hold', 'assumeAccepted', 'sendAgain'] as const)(
    '%s leaves a doubt alone before',
    async (doubtPolicy) => {
      const ledger = await inDoubt({ doubtPolicy });
      expect(await overdue(ledger)).toEqual({ assumed: 0, unconfirmed: 0, again: 0 });
      expect(await ledger.dispatch(1)).toMatchObject({ state: 'in_doubt' });
    },
  );

  test.each([
    ['hold', 'unconfirmed'],
    ['assumeAccepted', 'accepted'],
    ['sendAgain', 'unconfirmed'],
  ] as const)('of a cancelled run %s makes it %s: nothing is sent again', async (policy, state) => {
    const ledger = await inDoubt({ doubtPolicy: policy, doubtDeadlineMs: 0 });
    await closeGate(ledger);
    await acrossTenants(db, 'reconcile', (trx) => settleOverdueDoubts(trx, null));
    expect(await ledger.dispatch(1)).toMatchObject({ state });
  });
});

describe('a person settles', () => {
  test('accepted', async () => {
    const ledger = await inDoubt();
    expect(await settle(ledger, 'accepted')).toEqual({ dispatchNs: [1], messages: 3 });
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted', reason: null });
    expect(await attempt(ledger)).toMatchObject({ outcome: 'accepted', proven_by: 'operator' });
  });

  test('not sent: it goes out in a wave that is open now, as a new attempt', async () => {
    const ledger = await inDoubt();
    expect(await settle(ledger, 'notSent')).toEqual({ dispatchNs: [1], messages: 3 });
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'planned', wave_n: 2 });
    expect(await attempt(ledger)).toMatchObject({ outcome: 'not_sent', proven_by: 'operator' });
    const again = await ledger.claim({ wave: ledger.wave(2) });
    expect(again.kind === 'claimed' && (await ledger.gate(again.dispatch))).toMatchObject({
      kind: 'open',
      attempt: 2,
    });
  });

  test('not sent, when the campaign was cancelled: it stays unsent', async () => {
    const ledger = await inDoubt();
    await closeGate(ledger);
    await settle(ledger, 'notSent');
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'cancelled' });
    expect(await db('waves').where({ run_id: ledger.run.id })).toHaveLength(1);
  });

  test('unconfirmed, and may know better later', async () => {
    const ledger = await inDoubt();
    await settle(ledger, 'unconfirmed');
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'unconfirmed' });
    expect(await attempt(ledger)).toMatchObject({ outcome: 'in_doubt' });
    await settle(ledger, 'notSent');
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'planned', wave_n: 2 });
  });

  test('nothing of an attempt that is not the newest', async () => {
    const ledger = await inDoubt();
    await settle(ledger, 'notSent');
    const again = await ledger.claim({ wave: ledger.wave(2) });
    expect(again.kind === 'claimed' && (await ledger.gate(again.dispatch)).kind).toBe('open');
    await doubt(ledger, 2);
    expect(await settle(ledger, 'accepted')).toEqual({ dispatchNs: [], messages: 0 });
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'in_doubt', attempt: 2 });
  });

  test('all of a run at once, but not what was called after the person looked', async () => {
    const ledger = await inDoubt({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
    const second = await ledger.claimed();
    const { n } = second;
    await ledger.gate(second);
    await doubt(ledger, 1, n);
    const [looked] = await db('dispatches').where({ run_id: ledger.run.id, n }).select('called_at');
    expect(await settle(ledger, 'accepted', { calledBefore: looked.called_at })).toMatchObject({
      dispatchNs: [1],
    });
    expect(await settle(ledger, 'unconfirmed', { calledBefore: null })).toMatchObject({
      dispatchNs: [n],
    });
  });
});

test('of two settlers at once one is the first, and the other changes nothing', async () => {
  for (const ends of [
    ['accepted', 'notSent'],
    ['notSent', 'notSent'],
    ['unconfirmed', 'notSent'],
  ] as const) {
    const ledger = await inDoubt();
    const settled = await Promise.all(ends.map((end) => settle(ledger, end)));
    const winners = settled.filter(({ dispatchNs }) => dispatchNs.length > 0);
    // What is unconfirmed may still be called unsent: then both were heard, in that order.
    const mayBoth = ends[0] === 'unconfirmed';
    expect(winners.length === 1 || (mayBoth && winners.length === 2)).toBe(true);
    const [row] = await db('dispatches').where({ run_id: ledger.run.id, n: 1 });
    const { outcome } = await attempt(ledger);
    expect([row.state, outcome]).toEqual(
      outcome === 'accepted'
        ? ['accepted', 'accepted']
        : outcome === 'not_sent'
          ? ['planned', 'not_sent']
          : ['unconfirmed', 'in_doubt'],
    );
    expect((await db('waves').where({ run_id: ledger.run.id })).length).toBe(
      outcome === 'not_sent' ? 2 : 1,
    );
  }
});

test('a person and the policy at once: one new wave at the most', async () => {
  const ledger = await inDoubt({ doubtPolicy: 'sendAgain', doubtDeadlineMs: 0 });
  const [byPerson, byPolicy] = await Promise.all([settle(ledger, 'notSent'), overdue(ledger)]);
  expect(byPerson.dispatchNs.length + byPolicy.again).toBe(1);
  expect(await db('waves').where({ run_id: ledger.run.id })).toHaveLength(2);
});

test('what an event is about to prove is not taken for unsent', async () => {
  const ledger = await inDoubt();
  await acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, [processed(ledger)]));
  expect(await settle(ledger, 'notSent')).toEqual({ dispatchNs: [], messages: 0 });
  await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 100));
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
});

test('an event that comes after a call was taken for unsent prevents the second one', async () => {
  const ledger = await inDoubt();
  await settle(ledger, 'notSent');
  await acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, [processed(ledger)]));
  await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 100));
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
  expect(await ledger.claim({ wave: ledger.wave(2) })).toEqual({ kind: 'none' });
});

test('an event shows that what was assumed is so', async () => {
  const ledger = await inDoubt({ doubtPolicy: 'assumeAccepted', doubtDeadlineMs: 0 });
  await overdue(ledger);
  await acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, [processed(ledger)]));
  await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 100));
  expect(await attempt(ledger)).toMatchObject({ outcome: 'accepted', proven_by: 'event' });
});

test.each(['notSent', 'unconfirmed'] as const)(
  'a call that was called %s and whose reply comes after all is accepted, and not made again',
  async (end) => {
    const ledger = await inDoubt();
    await settle(ledger, end);
    const call = { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: 1, attempt: 1 };
    await withTenant(db, ledger.tenantId, (trx) =>
      settleCall(trx, call, { outcome: 'accepted', providerMessageId: 'late', status: 202 }),
    );
    expect(await ledger.dispatch(1)).toMatchObject({
      state: 'accepted',
      provider_message_id: 'late',
    });
    expect(await attempt(ledger)).toMatchObject({ outcome: 'accepted', proven_by: 'reply' });
    expect(await ledger.claim({ wave: ledger.wave(2) })).toEqual({ kind: 'none' });
  },
);

test('a late refusal of a call that was called accepted changes nothing', async () => {
  const ledger = await inDoubt();
  await settle(ledger, 'accepted');
  const call = { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: 1, attempt: 1 };
  await withTenant(db, ledger.tenantId, (trx) =>
    settleCall(trx, call, { outcome: 'refused', status: 400, reason: 'late' }),
  );
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
  expect(await attempt(ledger)).toMatchObject({ outcome: 'accepted', proven_by: 'operator' });
});

test('of another tenant nothing is settled or listed', async () => {
  const ledger = await inDoubt();
  const other = await buildLedger(db);
  const stranger = { ...ledger, tenantId: other.tenantId };
  expect(await settle(stranger, 'accepted')).toEqual({ dispatchNs: [], messages: 0 });
  const run = { tenantId: other.tenantId, runId: ledger.run.id };
  expect(await withTenant(db, other.tenantId, async (trx) => doubtsWhere(trx, run))).toEqual([]);
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'in_doubt' });
});

test('what is in doubt is counted by vendor, and so is for how long', async () => {
  const own = await createTestDatabase();
  const registry = createMetrics('test');
  collectDoubtMetrics(registry, own.db);
  expect(await registry.metrics()).toContain(
    `carillon_doubts_open{vendor="sendgrid",process="test"} 0`,
  );
  const ledger = await buildLedger(own.db);
  const dispatch = await ledger.claimed();
  await ledger.gate(dispatch);
  const call = { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: 1, attempt: 1 };
  await withTenant(own.db, ledger.tenantId, (trx) =>
    settleCall(trx, call, { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' }),
  );
  await own
    .db('dispatches')
    .where({ run_id: ledger.run.id })
    .update({ called_at: new Date(Date.now() - 90_000) });
  const shown = await registry.metrics();
  expect(shown).toContain(`carillon_doubts_open{vendor="sendgrid",process="test"} 1`);
  expect(shown).toMatch(/carillon_doubts_oldest_seconds{vendor="sendgrid",process="test"} 9\d/);
  await own.drop();
});

async function inDoubt(
  options: { doubtPolicy?: DoubtPolicy; doubtDeadlineMs?: number; zones?: string[] } = {},
): Promise<TestLedger> {
  const ledger = await buildLedger(db, options);
  await ledger.gate(await ledger.claimed());
  await doubt(ledger, 1);
  return ledger;
}

function doubt(ledger: TestLedger, attemptN: number, dispatchN = 1): Promise<boolean> {
  const call = { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN, attempt: attemptN };
  return withTenant(db, ledger.tenantId, (trx) =>
    settleCall(trx, call, { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' }),
  );
}

function settle(ledger: TestLedger, as: DoubtEnd, which?: DoubtChoice) {
  const run = { tenantId: ledger.tenantId, runId: ledger.run.id, windowMinutes: 60 };
  return withTenant(db, ledger.tenantId, (trx) =>
    settleDoubts(trx, run, {
      which: which ?? { calls: [{ dispatchN: 1, attempt: 1 }] },
      as,
      provenBy: 'operator',
    }),
  );
}

function overdue(ledger: TestLedger) {
  const run = { tenantId: ledger.tenantId, runId: ledger.run.id, windowMinutes: 60 };
  return withTenant(db, ledger.tenantId, (trx) => settleOverdueDoubts(trx, run));
}

async function closeGate({ tenantId, run }: TestLedger): Promise<void> {
  await withTenant(db, tenantId, (trx) =>
    setGate(trx, {
      tenantId,
      runId: run.id,
      gate: 'closed',
      reason: null,
      actor: { kind: 'user', id: null },
    }),
  );
}

async function attempt(ledger: TestLedger, attemptN = 1): Promise<Record<string, unknown>> {
  const [row] = await db('dispatch_attempts').where({
    run_id: ledger.run.id,
    dispatch_n: 1,
    attempt: attemptN,
  });
  return row;
}

function processed({ run }: TestLedger) {
  return {
    providerEventId: newId(),
    source: 'sendgrid',
    runId: run.id,
    dispatchN: 1,
    attempt: 1,
    messageN: 1,
    kind: 'processed',
    occurredAt: new Date(),
    suppress: null,
    machine: false,
    detail: {},
  } as const;
}
