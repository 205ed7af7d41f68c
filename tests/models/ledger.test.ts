import type { MessageEvent } from '../../domain/messages/events';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import { planRun } from '../../models/campaigns/planning';
import { replanRun } from '../../models/campaigns/replanning';
import { requestReschedule, seeSteering, setGate } from '../../models/campaigns/runs';
import {
  releaseEarlierAttempts,
  unclaimDispatch,
  type ClaimedDispatch,
} from '../../models/messages/claims';
import { countRun } from '../../models/messages/counts';
import { cancelRemaining, settleOverdueDoubts } from '../../models/messages/doubt';
import { doubtsWhere } from '../../models/messages/doubtsList';
import { applyEvents, storeEvents } from '../../models/messages/events';
import {
  setAsideRecipients,
  settleCall,
  splitDispatch,
  type Settlement,
} from '../../models/messages/settle';
import { splitOffMessages, splitToFit } from '../../models/messages/splitOff';
import { until } from '../support/conditions';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { buildLedger, type TestLedger } from '../support/ledger';
import { insertCustomers, insertTenant } from '../support/records';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

const user = { kind: 'user', id: null } as const;

describe('planning', () => {
  test('writes one message for each customer, dispatches of one zone, and nothing on a repetition', async () => {
    const ledger = await buildLedger(db, {
      customers: 2500,
      zones: ['Europe/Paris', 'Asia/Tokyo', null],
    });
    const dispatches = await db('dispatches').where({ run_id: ledger.run.id }).orderBy('n');
    expect(dispatches).toHaveLength(3);
    expect(Object.fromEntries(dispatches.map((d) => [d.time_zone, d.message_count]))).toEqual({
      '': 833,
      'Asia/Tokyo': 833,
      'Europe/Paris': 834,
    });
    for (const d of dispatches) {
      expect(d.last_message_n - d.first_message_n + 1).toBe(d.message_count);
    }
    const again = await withTenant(db, ledger.tenantId, (trx) =>
      planRun(trx, { tenantId: ledger.tenantId, runId: ledger.run.id, now: new Date() }),
    );
    expect(again).toEqual(ledger.plan);
    expect(await db('messages').where({ run_id: ledger.run.id })).toHaveLength(2500);
  });
});

describe('claim and gate', () => {
  test('a claim passes the gate once and its call is settled once', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    expect(await ledger.claim()).toMatchObject({ kind: 'busy' });
    const gate = await ledger.gate(dispatch);
    expect(gate).toMatchObject({ kind: 'open', attempt: 1 });
    expect(await ledger.gate(dispatch)).toEqual({ kind: 'shut' });
    const call = { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: 1, attempt: 1 };
    const settle = () =>
      withTenant(db, ledger.tenantId, (trx) =>
        settleCall(trx, call, { outcome: 'accepted', providerMessageId: 'x', status: 202 }),
      );
    expect(await settle()).toBe(true);
    expect(await settle()).toBe(false);
    expect(await ledger.claim()).toEqual({ kind: 'none' });
    expect(
      await withTenant(db, ledger.tenantId, (trx) => countRun(trx, ledger.tenantId, ledger.run.id)),
    ).toMatchObject({ planned: 3, accepted: 3, open: 0, leftOut: 0 });
  });

  test('a process that wakes after its lease does not pass the gate', async () => {
    const ledger = await buildLedger(db);
    const stopped = await ledger.claimed({ leaseMs: 0 });
    expect(await ledger.gate(stopped)).toEqual({ kind: 'shut' });
    // Looking for work frees what the stopped one held; another claim gets a newer fencing number.
    expect(await ledger.claim()).toMatchObject({ kind: 'busy' });
    const next = await ledger.claimed();
    expect(next.claimN).toBe(stopped.claimN + 1);
    expect(await ledger.gate(stopped)).toEqual({ kind: 'shut' });
    expect(await ledger.gate(next)).toMatchObject({ kind: 'open' });
  });

  test('a call that is late for the window it was counted in does not leave', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    const past = new Date(Date.now() - 1);
    expect(await ledger.gate(dispatch, { leaveBefore: past })).toEqual({ kind: 'shut' });
    const soon = new Date(Date.now() + 60_000);
    expect(await ledger.gate(dispatch, { leaveBefore: soon })).toMatchObject({ kind: 'open' });
  });

  test('a dispatch above a limit that has shrunk is divided without losing anybody', async () => {
    const ledger = await buildLedger(db, { customers: 23 });
    const dispatch = await ledger.claimed();
    await db('messages')
      .where({ run_id: ledger.run.id, n: 4 })
      .update({ outcome: 'left_out', reason: 'erased' });
    await db('dispatches').where({ run_id: ledger.run.id }).update({ left_out_count: 1 });
    const split = (claim: ClaimedDispatch) =>
      withTenant(db, ledger.tenantId, (trx) =>
        splitToFit(trx, {
          tenantId: ledger.tenantId,
          runId: ledger.run.id,
          dispatch: claim,
          most: 10,
        }),
      );
    await split({ ...dispatch, claimN: dispatch.claimN - 1 });
    expect(await db('dispatches').where({ run_id: ledger.run.id })).toHaveLength(1);
    await split(dispatch);
    const rows = await db('dispatches').where({ run_id: ledger.run.id }).orderBy('n');
    expect(
      rows.map((row) => [
        row.first_message_n,
        row.last_message_n,
        row.message_count,
        row.left_out_count,
        row.state,
      ]),
    ).toEqual([
      [1, 10, 10, 1, 'claimed'],
      [11, 20, 10, 0, 'planned'],
      [21, 23, 3, 0, 'planned'],
    ]);
    const messages = await db('messages').where({ run_id: ledger.run.id }).orderBy('n');
    expect(messages.map((row) => row.dispatch_n)).toEqual(
      messages.map((row) => rows[Math.ceil(row.n / 10) - 1]?.n),
    );
    const next = await ledger.claimed();
    expect((await ledger.load(next)).ns).toHaveLength(10);
  });

  test('a pause between claim and gate lets nothing leave', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    await steer(ledger, 'paused');
    expect(await ledger.gate(dispatch)).toEqual({ kind: 'shut' });
    await withTenant(db, ledger.tenantId, (trx) =>
      unclaimDispatch(trx, ledger.tenantId, ledger.run.id, dispatch, null),
    );
    expect(await ledger.claim()).toEqual({ kind: 'paused' });
    await steer(ledger, 'open');
    expect(await ledger.claim()).toMatchObject({ kind: 'claimed' });
  });

  test('an unsubscribe that arrives while a claim waits for rate is left out at the gate', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    await db('suppressions').insert({
      tenant_id: ledger.tenantId,
      channel: 'email',
      address: 'c1@example.com',
      reason: 'unsubscribed',
    });
    const gate = await ledger.gate(dispatch);
    expect(gate.kind === 'open' && gate.leftOut.size).toBe(1);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'calling', left_out_count: 1 });
  });

  test('a suppression is found among few others and among many', async () => {
    for (const others of [1, 2, 50]) {
      const ledger = await buildLedger(db, { customers: 6, zones: ['Europe/Paris', 'Asia/Tokyo'] });
      const suppress = (address: string) =>
        db('suppressions').insert({
          tenant_id: ledger.tenantId,
          channel: 'email',
          address,
          reason: 'unsubscribed',
        });
      for (let n = 0; n < others; n += 1) {
        await suppress(`other${n}@example.com`);
      }
      const first = await ledger.gate(await ledger.claimed());
      expect(first).toMatchObject({ kind: 'open', leftOut: new Set() });
      await suppress('c0@example.com');
      await suppress('c1@example.com');
      const second = await ledger.gate(await ledger.claimed());
      expect(second.kind === 'open' && second.leftOut.size).toBe(1);
    }
  });

  test('a dispatch whose messages all went to calls of their own ends without one', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    await withTenant(db, ledger.tenantId, (trx) =>
      splitOffMessages(trx, ledger.tenantId, ledger.run.id, dispatch, [1, 2, 3]),
    );
    expect(await ledger.gate(dispatch)).toEqual({ kind: 'empty', heldBack: 0 });
    const counts = await withTenant(db, ledger.tenantId, (trx) =>
      countRun(trx, ledger.tenantId, ledger.run.id),
    );
    expect(counts).toMatchObject({ planned: 3, open: 3 });
  });

  test('a dispatch whose recipients are all gone ends without a call', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    await db('customers').where({ tenant_id: ledger.tenantId }).delete();
    expect(await ledger.gate(dispatch)).toEqual({ kind: 'empty', heldBack: 0 });
    expect(
      await withTenant(db, ledger.tenantId, (trx) => countRun(trx, ledger.tenantId, ledger.run.id)),
    ).toMatchObject({ planned: 3, leftOut: 3, cancelled: 0, open: 0 });
  });
});

describe('doubt', () => {
  test('a later attempt doubts what an earlier one was calling, and an event settles it', async () => {
    const ledger = await buildLedger(db);
    const slice = { workflowRunId: newId(), activityId: '7', attempt: 2 };
    const dispatch = await ledger.claimed();
    await ledger.gate(dispatch);
    await db('dispatches').where({ run_id: ledger.run.id }).update({
      slice_workflow_run_id: slice.workflowRunId,
      slice_activity_id: '7',
      slice_attempt: 1,
    });
    await withTenant(db, ledger.tenantId, (trx) =>
      releaseEarlierAttempts(trx, ledger.wave(), slice),
    );
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'in_doubt', reason: 'processGone' });
    await take([event(ledger, { kind: 'processed', messageN: 1 })]);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
  });

  test('an event before our own settle proves the dispatch, and the settle still names its call', async () => {
    const ledger = await buildLedger(db);
    await ledger.gate(await ledger.claimed());
    await take([event(ledger, { kind: 'delivered', messageN: 2 })]);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted', delivered_count: 1 });
    await withTenant(db, ledger.tenantId, (trx) =>
      settleCall(
        trx,
        { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: 1, attempt: 1 },
        { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' },
      ),
    );
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
  });

  test('held doubts end as unconfirmed after the deadline, and a late event still moves them', async () => {
    const ledger = await buildLedger(db, { doubtDeadlineMs: 0 });
    await inDoubt(ledger);
    await overdue(ledger);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'unconfirmed' });
    await take([event(ledger, { kind: 'delivered', messageN: 1 })]);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
  });

  test('send again plans a new wave; proof of both attempts is shown as a duplicate', async () => {
    const ledger = await buildLedger(db, { doubtDeadlineMs: 0, doubtPolicy: 'sendAgain' });
    await inDoubt(ledger);
    await overdue(ledger);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'planned', wave_n: 2 });
    const again = await ledger.claim({ wave: ledger.wave(2) });
    expect(again.kind).toBe('claimed');
    if (again.kind === 'claimed') {
      await ledger.gate(again.dispatch);
    }
    await withTenant(db, ledger.tenantId, (trx) =>
      settleCall(
        trx,
        { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: 1, attempt: 2 },
        { outcome: 'accepted', providerMessageId: 'second', status: 202 },
      ),
    );
    await take([event(ledger, { kind: 'processed', messageN: 1, attempt: 1 })]);
    expect(
      await withTenant(db, ledger.tenantId, async (trx) =>
        doubtsWhere(trx, { tenantId: ledger.tenantId, runId: ledger.run.id }),
      ),
    ).toMatchObject([{ n: 1, acceptedAttempts: 2 }]);
  });

  test('an event of a call that was given up before it is made again prevents the second one', async () => {
    const ledger = await buildLedger(db, { doubtDeadlineMs: 0, doubtPolicy: 'sendAgain' });
    await inDoubt(ledger);
    await overdue(ledger);
    await take([event(ledger, { kind: 'processed', messageN: 1, attempt: 1 })]);
    expect(await ledger.claim({ wave: ledger.wave(2) })).toEqual({ kind: 'none' });
  });
});

describe('proof of an earlier attempt', () => {
  test('settles a dispatch whose next attempt was throttled, so that there is no third call', async () => {
    const ledger = await buildLedger(db, { doubtDeadlineMs: 0, doubtPolicy: 'sendAgain' });
    await inDoubt(ledger);
    await overdue(ledger);
    const again = await ledger.claim({ wave: ledger.wave(2) });
    expect(again.kind === 'claimed' && (await ledger.gate(again.dispatch))).toMatchObject({
      kind: 'open',
      attempt: 2,
    });
    await settle(ledger, 2, { outcome: 'throttled', status: 429, reason: 'limit', delayMs: 0 });
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'planned' });
    await take([event(ledger, { kind: 'processed', messageN: 1, attempt: 1 })]);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
    expect(await ledger.claim({ wave: ledger.wave(2) })).toEqual({ kind: 'none' });
  });

  test('settles a call that is under way when its own answer is a refusal for now', async () => {
    const ledger = await buildLedger(db, { doubtDeadlineMs: 0, doubtPolicy: 'sendAgain' });
    await inDoubt(ledger);
    await overdue(ledger);
    const again = await ledger.claim({ wave: ledger.wave(2) });
    expect(again.kind === 'claimed' && (await ledger.gate(again.dispatch)).kind).toBe('open');
    await take([event(ledger, { kind: 'processed', messageN: 1, attempt: 1 })]);
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'calling' });
    await settle(ledger, 2, { outcome: 'throttled', status: 429, reason: 'limit', delayMs: 0 });
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
  });
});

describe('what changes between loading and the gate', () => {
  test('an address that has changed shuts the gate, so that it is loaded again', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    const loaded = await ledger.load(dispatch);
    await db('customers')
      .where({ tenant_id: ledger.tenantId, email: 'c1@example.com' })
      .update({ email: 'moved@example.com' });
    expect(await ledger.gate(dispatch, { loaded })).toEqual({ kind: 'shut' });
    expect(await ledger.gate(dispatch)).toMatchObject({ kind: 'open' });
  });

  test.each([
    ['moved to another zone', 'Asia/Tokyo', ['Europe/Paris']],
    ['has no zone any more', null, ['Europe/Paris']],
    ['never had a zone', null, [null]],
  ])('a customer who %s is loaded and written to', async (_, timeZone, zones) => {
    const ledger = await buildLedger(db, { zones });
    const dispatch = await ledger.claimed();
    await db('customers')
      .where({ tenant_id: ledger.tenantId, email: 'c1@example.com' })
      .update({ time_zone: timeZone });
    expect(new Set((await ledger.load(dispatch)).ns)).toEqual(new Set([1, 2, 3]));
    const gate = await ledger.gate(dispatch);
    expect(gate).toEqual({ kind: 'open', attempt: 1, leftOut: new Set(), heldBack: 0 });
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'calling', left_out_count: 0 });
  });

  test('a pause that commits while the gate waits for its row shuts it', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    const blocker = await db.transaction();
    await blocker('dispatches')
      .where({ run_id: ledger.run.id, n: 1 })
      .update({ delivered_count: 0 });
    const gate = ledger.gate(dispatch);
    await until('the gate to wait', async () => {
      const waiting = await db.raw(
        `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      );
      return waiting.rows.length > 0;
    });
    await steer(ledger, 'paused');
    await blocker.commit();
    expect(await gate).toEqual({ kind: 'shut' });
  });
});

describe('steering', () => {
  test('a late repetition of an older wish undoes nothing', async () => {
    const ledger = await buildLedger(db);
    const read = await withTenant(db, ledger.tenantId, (trx) =>
      seeSteering(trx, ledger.tenantId, ledger.run.id),
    );
    await steer(ledger, 'paused');
    const late = await withTenant(db, ledger.tenantId, (trx) =>
      setGate(trx, {
        tenantId: ledger.tenantId,
        runId: ledger.run.id,
        gate: 'open',
        reason: null,
        actor: user,
        ifSteering: read.steering,
      }),
    );
    expect(late).toMatchObject({ changed: false, run: { gate: 'paused' } });
  });
});

describe('refusals', () => {
  test('recipients the provider names are set aside and the rest is planned again', async () => {
    const ledger = await buildLedger(db);
    await ledger.gate(await ledger.claimed());
    await withTenant(db, ledger.tenantId, (trx) =>
      setAsideRecipients(trx, callOf(ledger, 1), {
        messageNs: [2],
        status: 400,
        reason: 'Does not contain a valid address.',
      }),
    );
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'planned', refused_count: 1 });
    const gate = await ledger.gate(await ledger.claimed());
    expect(gate).toMatchObject({ kind: 'open', attempt: 2 });
  });

  test('an unexplained refusal is split; alike in both halves it is of the whole message', async () => {
    const ledger = await buildLedger(db, { customers: 4 });
    const refuse = async (n: number) =>
      withTenant(db, ledger.tenantId, (trx) =>
        splitDispatch(trx, callOf(ledger, n), { status: 400, reason: 'Bad Request' }),
      );
    await ledger.gate(await ledger.claimed());
    expect(await refuse(1)).toBe('split');
    const first = await ledger.claimed();
    const second = await ledger.claimed();
    expect([first.n, second.n]).toEqual([2, 3]);
    expect([first.messageCount, second.messageCount]).toEqual([2, 2]);
    await ledger.gate(first);
    await ledger.gate(second);
    expect(await refuse(2)).toBe('split');
    expect(await refuse(3)).toBe('ofTheWholeMessage');
    expect(await ledger.dispatch(3)).toMatchObject({ state: 'planned' });
    expect(
      await withTenant(db, ledger.tenantId, (trx) => countRun(trx, ledger.tenantId, ledger.run.id)),
    ).toMatchObject({ planned: 4, open: 4 });
  });

  test('one message alone that is refused ends as refused', async () => {
    const ledger = await buildLedger(db, { customers: 1 });
    await ledger.gate(await ledger.claimed());
    expect(
      await withTenant(db, ledger.tenantId, (trx) =>
        splitDispatch(trx, callOf(ledger, 1), { status: 400, reason: 'Bad Request' }),
      ),
    ).toBe('refused');
    expect(
      await withTenant(db, ledger.tenantId, (trx) => countRun(trx, ledger.tenantId, ledger.run.id)),
    ).toMatchObject({ refused: 1, open: 0 });
  });

  test('a message that cannot share a call gets its own dispatch', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    await withTenant(db, ledger.tenantId, async (trx) => {
      await splitOffMessages(trx, ledger.tenantId, ledger.run.id, dispatch, [2]);
      await unclaimDispatch(trx, ledger.tenantId, ledger.run.id, dispatch, null);
    });
    expect(await ledger.dispatch(1)).toMatchObject({ message_count: 2, state: 'planned' });
    expect(await ledger.dispatch(2)).toMatchObject({ message_count: 1, first_message_n: 2 });
  });

  test('cancel against a 429: the throttled call ends cancelled, not planned', async () => {
    const ledger = await buildLedger(db);
    await ledger.gate(await ledger.claimed());
    await steer(ledger, 'closed');
    await withTenant(db, ledger.tenantId, (trx) =>
      cancelRemaining(trx, ledger.tenantId, ledger.run.id),
    );
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'calling' });
    await withTenant(db, ledger.tenantId, (trx) =>
      settleCall(trx, callOf(ledger, 1), {
        outcome: 'throttled',
        status: 429,
        reason: 'providerThrottled',
        delayMs: 1000,
      }),
    );
    expect(await ledger.dispatch(1)).toMatchObject({ state: 'cancelled' });
  });
});

describe('reschedule', () => {
  test('moves what is planned to new waves across a DST change and touches no message', async () => {
    const now = new Date('2026-03-27T00:00:00Z');
    const spec = {
      kind: 'localHour',
      time: '09:00',
      unknownZone: 'tenant',
      hourPast: 'nextDay',
    } as const;
    const ledger = await buildLedger(db, {
      customers: 4,
      zones: ['Europe/Paris', 'America/New_York'],
      schedule: { ...spec, date: '2026-03-28' },
      now,
    });
    expect(ledger.plan.waves.map((wave) => wave.startsAt.toISOString())).toEqual([
      '2026-03-28T08:00:00.000Z',
      '2026-03-28T13:00:00.000Z',
    ]);
    const before = await db('messages').where({ run_id: ledger.run.id }).orderBy('n');
    const plan = await withTenant(db, ledger.tenantId, async (trx) => {
      await requestReschedule(trx, {
        tenantId: ledger.tenantId,
        runId: ledger.run.id,
        schedule: { ...spec, date: '2026-03-29' },
        actor: user,
      });
      return replanRun(trx, { tenantId: ledger.tenantId, runId: ledger.run.id, now });
    });
    expect(plan.waves.map((wave) => wave.startsAt.toISOString())).toEqual([
      '2026-03-29T07:00:00.000Z',
      '2026-03-29T13:00:00.000Z',
    ]);
    expect(plan.planVersion).toBe(2);
    expect(await db('messages').where({ run_id: ledger.run.id }).orderBy('n')).toEqual(before);
  });

  test('a claim of the old plan does not pass the gate', async () => {
    const ledger = await buildLedger(db);
    const dispatch = await ledger.claimed();
    await withTenant(db, ledger.tenantId, (trx) =>
      requestReschedule(trx, {
        tenantId: ledger.tenantId,
        runId: ledger.run.id,
        schedule: { kind: 'now' },
        actor: user,
      }),
    );
    expect(await ledger.gate(dispatch)).toEqual({ kind: 'shut' });
  });
});

describe('events', () => {
  test('facts are the same whatever the order and however often events come', async () => {
    const ledger = await buildLedger(db);
    await ledger.gate(await ledger.claimed());
    const delivered = event(ledger, { kind: 'delivered', messageN: 1 });
    const opened = event(ledger, { kind: 'opened', messageN: 1, at: '2026-01-02T00:00:00Z' });
    const earlier = event(ledger, { kind: 'opened', messageN: 1, at: '2026-01-01T00:00:00Z' });
    await take([opened]);
    await take([opened, earlier, delivered]);
    await take([delivered, opened, earlier]);
    expect(await ledger.dispatch(1)).toMatchObject({ opened_count: 1, delivered_count: 1 });
    const [message] = await db('messages').where({ run_id: ledger.run.id, n: 1 });
    expect(message.first_opened_at).toEqual(new Date('2026-01-01T00:00:00Z'));
    expect(await db('message_events').where({ run_id: ledger.run.id })).toHaveLength(3);
  });

  test('a bounce suppresses the address for the tenant, once', async () => {
    const ledger = await buildLedger(db);
    await ledger.gate(await ledger.claimed());
    const bounce = event(ledger, {
      kind: 'bounced',
      messageN: 1,
      suppress: { address: 'C0@example.com', reason: 'bounced' },
    });
    await take([bounce, { ...bounce, providerEventId: newId() }]);
    expect(
      await db('suppressions').where({ tenant_id: ledger.tenantId }).select('address', 'reason'),
    ).toEqual([{ address: 'c0@example.com', reason: 'bounced' }]);
  });
});

describe('events without a run of ours', () => {
  const complaint = (runId: string | null, address: string): MessageEvent => ({
    providerEventId: newId(),
    source: 'sendgrid',
    runId,
    dispatchN: null,
    attempt: null,
    messageN: null,
    kind: 'complained',
    occurredAt: new Date(),
    suppress: { address, reason: 'complained' },
    machine: false,
    detail: {},
  });

  test('stop the address everywhere when they name no run, and nowhere when they name an unknown one', async () => {
    const one = await insertTenant(db);
    const two = await insertTenant(db);
    const address = `shared-${one}@example.com`;
    await insertCustomers(db, one, [{ email: address }]);
    await insertCustomers(db, two, [{ email: address }]);
    await take([complaint(newId(), address)]);
    expect(await db('suppressions').where({ address })).toEqual([]);
    await take([complaint(null, address)]);
    expect(await db('suppressions').where({ address })).toHaveLength(2);
  });
});

function callOf(ledger: TestLedger, dispatchN: number) {
  return { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN, attempt: 1 };
}

async function steer(ledger: TestLedger, gate: 'open' | 'paused' | 'closed') {
  await withTenant(db, ledger.tenantId, (trx) =>
    setGate(trx, {
      tenantId: ledger.tenantId,
      runId: ledger.run.id,
      gate,
      reason: null,
      actor: user,
    }),
  );
}

async function settle(ledger: TestLedger, attempt: number, settlement: Settlement) {
  await withTenant(db, ledger.tenantId, (trx) =>
    settleCall(trx, { ...callOf(ledger, 1), attempt }, settlement),
  );
}

async function inDoubt(ledger: TestLedger) {
  await ledger.gate(await ledger.claimed());
  await withTenant(db, ledger.tenantId, (trx) =>
    settleCall(trx, callOf(ledger, 1), { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' }),
  );
}

async function overdue(ledger: TestLedger) {
  await withTenant(db, ledger.tenantId, (trx) =>
    settleOverdueDoubts(trx, {
      tenantId: ledger.tenantId,
      runId: ledger.run.id,
      windowMinutes: 60,
    }),
  );
}

function event(
  ledger: TestLedger,
  of: {
    kind: MessageEvent['kind'];
    messageN: number;
    attempt?: number;
    at?: string;
    suppress?: MessageEvent['suppress'];
  },
): MessageEvent {
  return {
    providerEventId: newId(),
    source: 'sendgrid',
    runId: ledger.run.id,
    dispatchN: 1,
    attempt: of.attempt ?? 1,
    messageN: of.messageN,
    kind: of.kind,
    occurredAt: new Date(of.at ?? '2026-01-01T12:00:00Z'),
    suppress: of.suppress ?? null,
    machine: false,
    detail: {},
  };
}

async function take(events: MessageEvent[]) {
  await acrossTenants(db, 'eventIntake', (trx) => storeEvents(trx, events));
  for (;;) {
    const { applied } = await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 1000));
    if (applied === 0) {
      return;
    }
  }
}
