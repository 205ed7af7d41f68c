import type { MessageState } from '../../domain/messages/states';
import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import { settleBlock } from '../../models/messages/blocks';
import { endLane, settleAndEnd } from '../../models/messages/laneEnds';
import { releaseExpiredLeases, type ClaimedDispatch } from '../../models/messages/claims';
import { countRun } from '../../models/messages/counts';
import { applyEvents, storeEvents } from '../../models/messages/events';
import { passGate, settleAndPass, type GateAnswer } from '../../models/messages/gate';
import type { GateCall } from '../../models/messages/gateStatements';
import type { Wait } from '../../models/messages/moveOut';
import { messagesWhere } from '../../models/messages/list';
import { loadRecipients, type Recipient } from '../../models/messages/recipients';
import { ensureTestAccount } from '../support/accounts';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await ensureTestAccount(database.db);
});

afterAll(() => database.drop());

test('an accepted block touches no message, and the lane ends the dispatch', async () => {
  const lane = await openLane(6);
  await lane.pass([1, 3]);
  await lane.settle([1, 3], { accepted: [1, 2, 3] });
  await lane.pass([4, 6]);
  await lane.settle([4, 6], { accepted: [4, 5, 6] });
  await lane.end();
  expect(await lane.states()).toEqual({ 1: 'accepted x6' });
  expect(await lane.counts()).toMatchObject({ planned: 6, accepted: 6, open: 0 });
  expect(await lane.attempts()).toEqual([{ dispatch_n: 1, attempt: 1, outcome: 'accepted' }]);
  expect(await lane.providerIds()).toEqual(['id1', 'id2', 'id3', 'id4', 'id5', 'id6']);
});

test('of what the vendor gave no id none is kept', async () => {
  const lane = await openLane(6);
  await lane.pass([1, 3]);
  await lane.settle([1, 3], { accepted: [1, 2, 3], unnamed: [2] });
  await lane.pass([4, 6]);
  await lane.settle([4, 6], { accepted: [4, 5, 6], unnamed: [4, 5, 6] });
  await lane.end();
  expect(await lane.counts()).toMatchObject({ planned: 6, accepted: 6, open: 0 });
  expect(await lane.providerIds()).toEqual(['id1', 'id3']);
});

test('one trip settles a block and passes the gate for the next, another one the last and the lane', async () => {
  const lane = await openLane(6);
  await lane.pass([1, 3]);
  expect(await lane.settleAndPass([1, 3], { accepted: [1, 2, 3] }, [4, 6])).toMatchObject({
    isSettled: true,
    answer: { kind: 'open', attempt: 1 },
  });
  expect(await lane.shown()).toEqual([...Array(3).fill('accepted'), ...Array(3).fill('calling')]);
  expect(await lane.settleAndEnd([4, 6], { accepted: [4, 5, 6] })).toEqual({
    isSettled: true,
    hasEnded: true,
  });
  expect(await lane.states()).toEqual({ 1: 'accepted x6' });
  expect(await lane.counts()).toMatchObject({ planned: 6, accepted: 6, open: 0 });
  expect(await lane.attempts()).toEqual([{ dispatch_n: 1, attempt: 1, outcome: 'accepted' }]);
  expect(await lane.providerIds()).toEqual(['id1', 'id2', 'id3', 'id4', 'id5', 'id6']);
  expect(await lane.settleAndEnd([4, 6], { accepted: [4, 5, 6] })).toEqual({
    isSettled: false,
    hasEnded: false,
  });
});

test('a block is settled although the gate is shut for the next', async () => {
  const lane = await openLane(6);
  const { tenantId, run } = lane.ledger;
  await lane.pass([1, 3]);
  await withTenant(database.db, tenantId, (trx) =>
    trx('campaign_runs').where({ id: run.id }).update({ gate: 'paused' }),
  );
  expect(await lane.settleAndPass([1, 3], { accepted: [1, 2, 3] }, [4, 6])).toEqual({
    isSettled: true,
    answer: { kind: 'shut' },
  });
  await lane.end();
  expect(await lane.states()).toEqual({ 1: 'accepted x3', 2: 'planned x3' });
});

test('who is suppressed between two blocks is left out of the second, and the first is settled once', async () => {
  const lane = await openLane(6);
  const { tenantId } = lane.ledger;
  await lane.pass([1, 3]);
  await withTenant(database.db, tenantId, (trx) =>
    trx('suppressions').insert({
      tenant_id: tenantId,
      channel: 'email',
      address: 'c4@example.com',
      reason: 'unsubscribed',
    }),
  );
  expect(await lane.settleAndPass([1, 3], { accepted: [1, 2, 3] }, [4, 6])).toEqual({
    isSettled: true,
    answer: { kind: 'open', attempt: 1, leftOut: new Set([5]), heldBack: 0 },
  });
  await lane.settleAndEnd([4, 6], { accepted: [4, 6] });
  expect(await lane.states()).toEqual({ 1: 'accepted x6' });
  expect(await lane.counts()).toMatchObject({ accepted: 5, leftOut: 1, open: 0 });
});

test('a lane that was given up neither settles with the next gate nor passes it', async () => {
  const lane = await openLane(6);
  await lane.pass([1, 3], { leaseMs: 1 });
  await lane.release();
  expect(await lane.settleAndPass([1, 3], { accepted: [1, 2, 3] }, [4, 6])).toEqual({
    isSettled: false,
    answer: { kind: 'shut' },
  });
  expect(await lane.settleAndEnd([1, 3], { accepted: [1, 2, 3] })).toEqual({
    isSettled: false,
    hasEnded: false,
  });
  expect(await lane.counts()).toMatchObject({ inDoubt: 3, open: 3 });
});

test('each message of a lane is shown as it stands, not as its dispatch', async () => {
  const lane = await openLane(4);
  await lane.pass([1, 2]);
  await lane.settle([1, 2], { accepted: [1, 2] });
  await lane.pass([3, 3]);
  expect(await lane.shown()).toEqual(['accepted', 'accepted', 'calling', 'claimed']);
  expect(await lane.shown('accepted')).toHaveLength(2);
});

test('refused, doubtful and untaken messages part ways, and all of them are counted', async () => {
  const lane = await openLane(8);
  await lane.pass([1, 6]);
  await lane.settle([1, 6], {
    accepted: [1, 2],
    refused: [3],
    doubtful: [4],
    notSent: [5, 6],
    wait: { delayMs: 60_000, reason: 'providerThrottled' },
  });
  await lane.end({ delayMs: 5_000, reason: 'rateLimit: 10 messages a day' });
  expect(await lane.states()).toEqual({
    1: 'accepted x3',
    2: 'planned x2 providerThrottled',
    3: 'in_doubt x1',
    4: 'planned x2 rateLimit: 10 messages a day',
  });
  expect(await lane.counts()).toMatchObject({
    planned: 8,
    accepted: 2,
    refused: 1,
    inDoubt: 1,
    open: 4,
  });
  const [suppressed] = await database.db('suppressions').where({ run_id: lane.ledger.run.id });
  expect(suppressed).toMatchObject({ address: 'c2@example.com', reason: 'invalid' });
});

test('settling a block twice changes nothing', async () => {
  const lane = await openLane(4);
  await lane.pass([1, 4]);
  const outcome = { accepted: [1], doubtful: [2], refused: [3], notSent: [4] };
  await lane.settle([1, 4], outcome);
  const before = [await lane.states(), await lane.counts()];
  await lane.settle([1, 4], outcome);
  expect([await lane.states(), await lane.counts()]).toEqual(before);
});

test('of a lane whose process is gone only what was under way is in doubt', async () => {
  const lane = await openLane(9);
  await lane.pass([1, 3]);
  await lane.settle([1, 3], { accepted: [1, 2, 3] });
  await lane.pass([4, 6], { leaseMs: 1 });
  const released = await lane.release();
  expect(released).toEqual({ released: 0, doubted: 3 });
  expect(await lane.states()).toEqual({
    1: 'accepted x3',
    2: 'planned x3',
    3: 'in_doubt x1',
    4: 'in_doubt x1',
    5: 'in_doubt x1',
  });
  expect(await lane.counts()).toMatchObject({ accepted: 3, inDoubt: 3, open: 3 });
  expect(await lane.release()).toEqual({ released: 0, doubted: 0 });
});

test('replies that come after their lane was given up settle the doubts they made', async () => {
  const lane = await openLane(4);
  await lane.pass([1, 4], { leaseMs: 1 });
  await lane.release();
  await lane.settle([1, 4], { accepted: [1, 2], refused: [3], notSent: [4] });
  expect(await lane.counts()).toMatchObject({ accepted: 2, refused: 1, inDoubt: 0, open: 1 });
});

test('an event proves its own message alone, before the doubt and after it', async () => {
  const lane = await openLane(5);
  await lane.pass([1, 5], { leaseMs: 1 });
  await lane.event(2);
  await lane.release();
  expect(await lane.counts()).toMatchObject({ accepted: 1, inDoubt: 4 });
  await lane.event(4);
  expect(await lane.counts()).toMatchObject({ accepted: 2, inDoubt: 3 });
  expect(await lane.stateOf(4)).toBe('accepted');
});

test('an event of a call that is under way does not take its neighbours for accepted', async () => {
  const lane = await openLane(3);
  await lane.pass([1, 3]);
  await lane.event(1);
  expect(await lane.states()).toEqual({ 1: 'calling x3' });
  await lane.settle([1, 3], { accepted: [1], doubtful: [2, 3] });
  await lane.end();
  expect(await lane.counts()).toMatchObject({ accepted: 1, inDoubt: 2, open: 0 });
});

test('nobody passes the gate for a block of another attempt, place or claim', async () => {
  const lane = await openLane(4);
  await lane.pass([1, 2]);
  expect(await lane.gate([3, 4])).toEqual({ kind: 'shut' });
  await lane.settle([1, 2], { accepted: [1, 2] });
  expect(await lane.gate([2, 4])).toEqual({ kind: 'shut' });
  expect(await lane.gate([3, 4])).toMatchObject({ kind: 'open', attempt: 1 });
});

test('a lane of which one message is left is no call of one message', async () => {
  const lane = await openLane(2);
  await lane.pass([1, 2]);
  await lane.settle([1, 2], { accepted: [1], notSent: [2] });
  await database
    .db('dispatches')
    .where({ run_id: lane.ledger.run.id, n: 1 })
    .update({
      lease_until: new Date(0),
    });
  expect(await lane.release()).toEqual({ released: 0, doubted: 0 });
  expect(await lane.counts()).toMatchObject({ accepted: 1, inDoubt: 0, open: 1 });
});

test('a settle that is repeated does not take back the call that another lane makes by now', async () => {
  const lane = await openLane(2);
  await lane.pass([1, 2]);
  const told = { accepted: [1], notSent: [2] };
  await lane.settle([1, 2], told);
  await lane.end();
  const other = await lane.ledger.claimed();
  expect(await lane.ledger.gate(other)).toMatchObject({ kind: 'open', attempt: 2 });
  await lane.settle([1, 2], told);
  expect(await lane.stateOf(2)).toBe('calling');
});

test('nothing leaves by an account that was switched off', async () => {
  const lane = await openLane(2);
  await database.db.raw(`insert into provider_accounts (id, active) values ('off', false)`);
  expect(await lane.gate([1, 2], { accountId: 'off' })).toEqual({ kind: 'shut' });
});

test('nothing leaves while the vendor has asked the account to wait', async () => {
  const lane = await openLane(2);
  await database.db.raw(
    `insert into provider_accounts (id, blocked_until) values ('asked', now() + interval '1 hour')`,
  );
  expect(await lane.gate([1, 2], { accountId: 'asked' })).toEqual({ kind: 'shut' });
  expect(await lane.gate([1, 2])).toMatchObject({ kind: 'open' });
});

test('a block of people who may not be written to is passed over without a call', async () => {
  const lane = await openLane(4);
  await database.db('customers').whereIn('id', lane.ledger.customerIds.slice(0, 2)).update({
    email_consent: 'withdrawn',
  });
  expect(await lane.gate([1, 2])).toEqual({ kind: 'empty', heldBack: 0 });
  expect(await lane.gate([3, 4])).toMatchObject({ kind: 'open', attempt: 1 });
  await lane.settle([3, 4], { accepted: [3, 4] });
  await lane.end();
  expect(await lane.counts()).toMatchObject({ planned: 4, leftOut: 2, accepted: 2, open: 0 });
});

test('what a closed gate leaves behind is cancelled, not planned', async () => {
  const lane = await openLane(4);
  await lane.pass([1, 2]);
  await database.db('campaign_runs').where({ id: lane.ledger.run.id }).update({ gate: 'closed' });
  await lane.settle([1, 2], { accepted: [1], notSent: [2] });
  await lane.end();
  expect(await lane.counts()).toMatchObject({ accepted: 1, cancelled: 3, open: 0 });
});

type Range = [first: number, last: number];

interface Told {
  accepted?: number[];
  /** Which of the accepted the vendor gave no id. */
  unnamed?: number[];
  refused?: number[];
  doubtful?: number[];
  notSent?: number[];
  wait?: Wait | null;
}

/** One claimed dispatch of so many messages, and its lane's steps. */
async function openLane(messages: number) {
  const { db } = database;
  const ledger: TestLedger = await buildLedger(db, { customers: messages });
  const { tenantId, run } = ledger;
  const dispatch: ClaimedDispatch = await ledger.claimed();
  const recipients: Recipient[] = [];
  await loadRecipients(db, { tenantId, runId: run.id, channel: 'email', dispatch }, (one) => {
    recipients.push(one);
  });
  let attempt: number | null = null;
  const key = { tenantId, runId: run.id, dispatchN: dispatch.n, claimN: dispatch.claimN };
  const callOf = (
    [firstMessageN, lastMessageN]: Range,
    options: { leaseMs?: number; accountId?: string } = {},
  ): GateCall => {
    const block = recipients.filter(({ n }) => n >= firstMessageN && n <= lastMessageN);
    return {
      tenantId,
      runId: run.id,
      channel: 'email',
      dispatch,
      leaseMs: options.leaseMs ?? 60_000,
      leaveBefore: null,
      loaded: {
        ns: block.map(({ n }) => n),
        addresses: block.reduce((sum, { addressHash }) => sum + (addressHash ?? 0), 0),
      },
      notRendered: [],
      block: { firstMessageN, lastMessageN, attempt, accountId: options.accountId ?? 'sendgrid' },
    };
  };
  const gate = async (
    range: Range,
    options?: { leaseMs?: number; accountId?: string },
  ): Promise<GateAnswer> => {
    const answer = await passGate(db, callOf(range, options));
    attempt = answer.kind === 'open' ? answer.attempt : attempt;
    return answer;
  };
  const left = ([firstMessageN, lastMessageN]: Range, told: Told) => ({
    block: {
      ...key,
      attempt: attempt ?? 0,
      channel: 'email' as const,
      firstMessageN,
      lastMessageN,
    },
    outcome: {
      accepted: (told.accepted ?? []).map((n) => ({
        n,
        providerMessageId: told.unnamed?.includes(n) === true ? null : `id${n}`,
      })),
      refused: (told.refused ?? []).map((n) => ({
        n,
        status: 400,
        reason: 'no such mailbox',
        suppress: { address: `c${n - 1}@example.com`, reason: 'invalid' as const },
      })),
      doubtful: (told.doubtful ?? []).map((n) => ({ n, status: null, reason: 'ECONNRESET' })),
      notSent: (told.notSent ?? []).map((n) => ({ n, wait: told.wait ?? null })),
    },
  });
  return {
    ledger,
    gate,
    async pass(range: Range, options?: { leaseMs?: number }) {
      expect(await gate(range, options)).toMatchObject({ kind: 'open', attempt: 1 });
    },
    settle(range: Range, told: Told) {
      const { block, outcome } = left(range, told);
      return settleBlock(db, block, outcome);
    },
    settleAndPass: (range: Range, told: Told, next: Range) =>
      settleAndPass(db, left(range, told), callOf(next)),
    settleAndEnd(range: Range, told: Told) {
      const { block, outcome } = left(range, told);
      return settleAndEnd(db, block, outcome);
    },
    end: (wait: Wait | null = null) => endLane(db, key, wait),
    release: () =>
      acrossTenants(db, 'reconcile', (trx) => releaseExpiredLeases(trx, ledger.wave())),
    counts: () => withTenant(db, tenantId, (trx) => countRun(trx, tenantId, run.id)),
    async states(): Promise<Record<number, string>> {
      const rows: {
        n: number;
        state: string;
        message_count: number;
        wait_reason: string | null;
      }[] = await db('dispatches').where({ run_id: run.id }).orderBy('n');
      return Object.fromEntries(
        rows.map((row) => [
          row.n,
          [`${row.state} x${row.message_count}`, row.wait_reason].filter(Boolean).join(' '),
        ]),
      );
    },
    async stateOf(n: number): Promise<string> {
      const found = await db('messages as m')
        .join('dispatches as d', (on) => on.on('d.run_id', 'm.run_id').on('d.n', 'm.dispatch_n'))
        .where({ 'm.run_id': run.id, 'm.n': n })
        .first('d.state');
      return found.state;
    },
    async shown(state?: MessageState): Promise<string[]> {
      const rows = await withTenant(db, tenantId, async (trx) =>
        messagesWhere(trx, { tenantId, runId: run.id }, { state }).orderBy('n'),
      );
      return rows.map((row) => row.state);
    },
    attempts: () =>
      db('dispatch_attempts').where({ run_id: run.id }).select('dispatch_n', 'attempt', 'outcome'),
    async providerIds(): Promise<string[]> {
      const rows: { provider_message_ids: string[] }[] = await db('dispatch_blocks')
        .where({ run_id: run.id })
        .orderBy('first_message_n');
      return rows.flatMap((row) => row.provider_message_ids);
    },
    async event(messageN: number) {
      await acrossTenants(db, 'eventIntake', (trx) =>
        storeEvents(trx, [
          {
            providerEventId: newId(),
            source: 'twilio',
            runId: run.id,
            dispatchN: dispatch.n,
            attempt: 1,
            messageN,
            kind: 'processed',
            occurredAt: new Date(),
            suppress: null,
            machine: false,
            detail: {},
          },
        ]),
      );
      await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 100));
    },
  };
}
