import type { FrequencyCap } from '../../domain/campaigns/rules/types';
import type { Knex } from '../../lib/db';
import { withTenant } from '../../models/base';
import { setGate } from '../../models/campaigns/runs';
import { settleBlock } from '../../models/messages/blocks';
import { countRun } from '../../models/messages/counts';
import { settleDoubts } from '../../models/messages/doubtsSettle';
import { passGate } from '../../models/messages/gate';
import {
  setAsideRecipients,
  settleCall,
  splitDispatch,
  type Settlement,
} from '../../models/messages/settle';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

const weekly: FrequencyCap = { messages: 1, days: 7, whenCapped: 'later' };

const capped = (sameAs?: TestLedger, frequencyCap: FrequencyCap = weekly): Promise<TestLedger> =>
  buildLedger(db, {
    schedule: { kind: 'now', frequencyCap },
    ...(sameAs === undefined ? {} : { sameAs }),
  });

const contacts = (ledger: TestLedger) =>
  db('customer_contacts').where({ run_id: ledger.run.id }).orderBy('message_n');

const counts = (ledger: TestLedger) =>
  withTenant(db, ledger.tenantId, (trx) => countRun(trx, ledger.tenantId, ledger.run.id));

/** Takes the ledger's call through its gate. */
async function pass(ledger: TestLedger) {
  return ledger.gate(await ledger.claimed());
}

test('a call that passes is written down, and keeps back the next run’s', async () => {
  const first = await capped();
  expect(await pass(first)).toEqual({
    kind: 'open',
    attempt: 1,
    leftOut: new Set(),
    heldBack: 0,
  });
  expect(await contacts(first)).toHaveLength(3);
  const second = await capped(first);
  expect(await pass(second)).toEqual({ kind: 'empty', heldBack: 3 });
  expect(await contacts(second)).toEqual([]);
  expect(await counts(second)).toMatchObject({ planned: 3, open: 3, leftOut: 0, cancelled: 0 });
  expect(await second.claim()).toMatchObject({ kind: 'notDueUntil', reason: 'frequencyCap' });
  // Who has no cap asks nobody.
  expect(await pass(await buildLedger(db, { sameAs: first }))).toMatchObject({ kind: 'open' });
});

test('only who is capped is held back; the call leaves for the others', async () => {
  const first = await capped();
  await db('customers').whereIn('id', first.customerIds.slice(0, 1)).update({
    email_consent: 'withdrawn',
  });
  expect(await pass(first)).toMatchObject({ kind: 'open', leftOut: new Set([1]), heldBack: 0 });
  await db('customers').whereIn('id', first.customerIds).update({ email_consent: 'granted' });
  const second = await capped(first);
  expect(await pass(second)).toEqual({
    kind: 'open',
    attempt: 1,
    leftOut: new Set([2, 3]),
    heldBack: 2,
  });
  expect(await contacts(second)).toMatchObject([{ message_n: 1 }]);
  expect(await second.dispatch(1)).toMatchObject({
    state: 'calling',
    message_count: 1,
    left_out_count: 0,
  });
});

test('of the second of two calls the right messages are held back', async () => {
  const zones = ['Europe/Paris', 'Asia/Tokyo'];
  const first = await buildLedger(db, {
    customers: 7,
    zones,
    schedule: { kind: 'now', frequencyCap: weekly },
  });
  await pass(first);
  await pass(first);
  await db('customer_contacts').whereNotIn('message_n', [5, 7]).del();
  const customers = (await contacts(first)).map(({ customer_id }) => customer_id);
  const second = await capped(first);
  expect(await pass(second)).toMatchObject({ kind: 'open', heldBack: 0 });
  expect(await pass(second)).toMatchObject({ leftOut: new Set([5, 7]), heldBack: 2 });
  expect(await second.dispatch(3)).toMatchObject({
    first_message_n: 5,
    last_message_n: 7,
    message_count: 2,
  });
  const moved = await db('messages').where({ run_id: second.run.id, dispatch_n: 3 }).orderBy('n');
  expect(moved.map(({ customer_id }) => customer_id)).toEqual(customers);
});

test('a cap that never ends in time leaves out for good, and is counted', async () => {
  const first = await capped();
  await pass(first);
  const second = await capped(first, { ...weekly, whenCapped: 'skip' });
  expect(await pass(second)).toEqual({ kind: 'empty', heldBack: 0 });
  expect(await counts(second)).toMatchObject({ planned: 3, open: 0, leftOut: 3 });
});

test('a shut gate holds nobody back and writes nobody down', async () => {
  const first = await capped();
  await pass(first);
  const second = await capped(first);
  const claim = await second.claimed();
  await withTenant(db, second.tenantId, (trx) =>
    setGate(trx, {
      tenantId: second.tenantId,
      runId: second.run.id,
      gate: 'paused',
      reason: null,
      actor: { kind: 'user', id: null },
    }),
  );
  expect(await second.gate(claim)).toEqual({ kind: 'shut' });
  expect(await db('dispatches').where({ run_id: second.run.id })).toHaveLength(1);
  expect(await second.dispatch(1)).toMatchObject({ message_count: 3, state: 'claimed' });
});

test('two gates at once: one call leaves, the other is held back', async () => {
  const first = await capped();
  const second = await capped(first);
  const claims = await Promise.all([first.claimed(), second.claimed()]);
  const answers = await Promise.all([first.gate(claims[0]), second.gate(claims[1])]);
  expect(answers.map(({ kind }) => kind).sort()).toEqual(['empty', 'open']);
});

const status = 400;
const reason = 'said so';

test.each<[string, Settlement, number]>([
  ['accepted', { outcome: 'accepted', providerMessageId: null, status: 202 }, 3],
  ['in doubt', { outcome: 'in_doubt', status: null, reason }, 3],
  ['refused', { outcome: 'refused', status, reason }, 0],
  ['throttled', { outcome: 'throttled', status: 429, reason, delayMs: 0 }, 0],
  ['not sent', { outcome: 'not_sent', status: null, reason, delayMs: 0 }, 0],
])('a call that is %s counts as said', async (_, settlement, expected) => {
  const ledger = await capped();
  await pass(ledger);
  const { tenantId, run } = ledger;
  const settle = () =>
    withTenant(db, tenantId, (trx) =>
      settleCall(trx, { tenantId, runId: run.id, dispatchN: 1, attempt: 1 }, settlement),
    );
  await settle();
  await settle();
  expect(await contacts(ledger)).toHaveLength(expected);
});

test.each([
  ['split', splitDispatch],
  [
    'refused for some',
    (trx: Knex.Transaction, call: Parameters<typeof splitDispatch>[1]) =>
      setAsideRecipients(trx, call, { messageNs: [2], status, reason }),
  ],
] as const)('a call that is %s reached nobody', async (_, settle) => {
  const ledger = await capped();
  await pass(ledger);
  const { tenantId, run } = ledger;
  await withTenant(db, tenantId, async (trx) => {
    await settle(trx, { tenantId, runId: run.id, dispatchN: 1, attempt: 1 }, { status, reason });
  });
  expect(await contacts(ledger)).toEqual([]);
});

test('a first call in doubt stays a contact when the second is refused', async () => {
  const ledger = await capped();
  const { tenantId, run } = ledger;
  const settle = (attempt: number, settlement: Settlement) =>
    withTenant(db, tenantId, (trx) =>
      settleCall(trx, { tenantId, runId: run.id, dispatchN: 1, attempt }, settlement),
    );
  await pass(ledger);
  await settle(1, { outcome: 'in_doubt', status: null, reason });
  await db('dispatches').where({ run_id: run.id }).update({ state: 'planned' });
  expect(await pass(ledger)).toMatchObject({ kind: 'open', attempt: 2, heldBack: 0 });
  expect(await contacts(ledger)).toMatchObject([{ calls: 2 }, { calls: 2 }, { calls: 2 }]);
  await settle(2, { outcome: 'refused', status, reason });
  expect(await contacts(ledger)).toMatchObject([{ calls: 1 }, { calls: 1 }, { calls: 1 }]);
});

test('a doubt of which a person knows that nothing was sent is no contact', async () => {
  const ledger = await capped();
  const { tenantId, run } = ledger;
  await pass(ledger);
  await withTenant(db, tenantId, async (trx) => {
    await settleCall(
      trx,
      { tenantId, runId: run.id, dispatchN: 1, attempt: 1 },
      { outcome: 'in_doubt', status: null, reason },
    );
    await settleDoubts(
      trx,
      { tenantId, runId: run.id, windowMinutes: 60 },
      { which: { calls: [{ dispatchN: 1, attempt: 1 }] }, as: 'notSent', provenBy: 'operator' },
    );
  });
  expect(await contacts(ledger)).toEqual([]);
});

test('of a block of single calls each is held back, counted and released by itself', async () => {
  const first = await capped();
  await pass(first);
  await db('customer_contacts').where({ run_id: first.run.id, message_n: 2 }).del();
  const second = await buildLedger(db, {
    sameAs: first,
    schedule: { kind: 'now', frequencyCap: weekly },
  });
  const { tenantId, run } = second;
  const dispatch = await second.claimed();
  const loaded = await second.load(dispatch);
  await db('customer_contacts').where({ run_id: first.run.id, message_n: 3 }).del();
  const range = { firstMessageN: 1, lastMessageN: 3 };
  const answer = await passGate(db, {
    tenantId,
    runId: run.id,
    channel: 'email',
    dispatch,
    leaseMs: 60_000,
    leaveBefore: null,
    loaded,
    notRendered: [],
    block: { ...range, attempt: null, accountId: 'sendgrid' },
  });
  expect(answer).toMatchObject({ kind: 'open', leftOut: new Set([1]), heldBack: 1 });
  expect(await contacts(second)).toMatchObject([{ message_n: 2 }, { message_n: 3 }]);
  await settleBlock(
    db,
    {
      tenantId,
      runId: run.id,
      dispatchN: dispatch.n,
      claimN: dispatch.claimN,
      attempt: 1,
      channel: 'email',
      ...range,
    },
    {
      accepted: [{ n: 2, providerMessageId: 'id' }],
      refused: [],
      doubtful: [],
      notSent: [{ n: 3, wait: null }],
    },
  );
  expect(await contacts(second)).toMatchObject([{ message_n: 2 }]);
});
