import type { LookUpRule } from '../../domain/messages/doubts/lookUps';
import type { Knex } from '../../lib/db';
import { withTenant } from '../../models/base';
import {
  claimLookUps,
  lookUpFacts,
  nextLookUpDue,
  noteLookUps,
  takeLookUpTurn,
} from '../../models/messages/doubtsLookUp';
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

const rule: LookUpRule = { firstAfterMs: 60_000, spacingMs: 0, absenceProvesAfterMs: null };
const zones = ['Europe/Paris', 'Asia/Tokyo', 'America/New_York'];

test('no call is looked up before its time, and each by one worker only', async () => {
  const ledger = await inDoubt();
  expect(await claim(ledger)).toEqual([]);
  const due = await inTenant(ledger, (trx) => nextLookUpDue(trx, keyOf(ledger), rule));
  expect(due?.getTime()).toBeGreaterThan(Date.now());

  await madeAgo(ledger, 61_000);
  const claims = await Promise.all([claim(ledger, 2), claim(ledger, 2), claim(ledger, 2)]);
  const ns = claims.flat().map(({ n }) => n);
  expect(ns.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  expect(claims.flat()[0]).toMatchObject({ attempt: 1, times: 1, messageCount: 1 });
  expect(await claim(ledger)).toEqual([]);
});

test('one whose worker died is looked up again after a while', async () => {
  const ledger = await inDoubt();
  await madeAgo(ledger, 61_000);
  await claim(ledger);
  await db('dispatch_attempts')
    .where({ run_id: ledger.run.id })
    .update({ look_up_at: db.raw(`look_up_at - interval '2 minutes'`) });
  expect((await claim(ledger)).map(({ times }) => times)).toEqual([2, 2, 2]);
});

test('what was answered is noted with the time of the next look-up', async () => {
  const ledger = await inDoubt();
  await madeAgo(ledger, 61_000);
  const [call] = await claim(ledger, 1);
  const nextAt = new Date(Date.now() + 500_000);
  const note = {
    n: call?.n ?? 0,
    attempt: 1,
    answer: 'unknown',
    reason: 'ETIMEDOUT',
    nextAt,
  } as const;
  await inTenant(ledger, (trx) => noteLookUps(trx, keyOf(ledger), [note]));
  const [row] = await db('dispatch_attempts').where({ run_id: ledger.run.id, dispatch_n: call?.n });
  expect(row).toMatchObject({
    look_up_answer: 'unknown',
    look_up_reason: 'ETIMEDOUT',
    look_up_at: nextAt,
    outcome: 'in_doubt',
  });
});

test('an account that limits look-ups is asked by one at a time', async () => {
  await buildLedger(db);
  const turns = await Promise.all(
    Array.from({ length: 5 }, () => takeLookUpTurn(db, 'sendgrid', 60_000)),
  );
  expect(turns.filter((turn) => turn === null)).toHaveLength(1);
  expect(turns.filter((turn) => turn !== null && turn.getTime() > Date.now())).toHaveLength(4);
});

test('a customer who was changed since, or is gone, is not the one who was written to', async () => {
  const ledger = await inDoubt();
  const longAgo = new Date(Date.now() - 3_600_000);
  await db('customers').where({ tenant_id: ledger.tenantId }).update({ updated_at: longAgo });
  await db('provider_accounts').update({ updated_at: longAgo });
  const isUnchanged = async () => (await facts(ledger)).map((each) => each.isUnchanged);
  expect(await isUnchanged()).toEqual([true, true, true]);
  const third = { run_id: ledger.run.id, dispatch_n: 3 };
  await db('dispatch_attempts').where(third).update({ reason: 'restored' });
  expect(await isUnchanged()).toEqual([true, true, false]);
  await db('dispatch_attempts').where(third).update({ reason: 'ECONNRESET' });
  const [first, second] = await db('messages')
    .where({ run_id: ledger.run.id })
    .orderBy('dispatch_n');
  await db('customers').where({ id: first.customer_id }).update({ updated_at: new Date() });
  await db('customers').where({ id: second.customer_id }).delete();
  expect(await isUnchanged()).toEqual([false, false, true]);
  await db('provider_accounts').update({ updated_at: new Date() });
  expect(await isUnchanged()).toEqual([false, false, false]);
});

test('other messages to the same number are known, wherever their ids are kept', async () => {
  const ledger = await inDoubt();
  await db('customers').where({ tenant_id: ledger.tenantId }).update({ phone: '+4930123456' });
  const run = { run_id: ledger.run.id, tenant_id: ledger.tenantId };
  await db('dispatch_attempts')
    .where({ run_id: ledger.run.id, dispatch_n: 1 })
    .update({ provider_message_id: 'SM-of-one' });
  const [two] = await db('messages').where({ run_id: ledger.run.id, dispatch_n: 2 });
  await db('dispatch_blocks').insert({
    ...run,
    dispatch_n: 2,
    attempt: 1,
    first_message_n: two.n,
    message_ns: [two.n],
    provider_message_ids: ['SM-of-two'],
  });
  const [three] = await db('messages').where({ run_id: ledger.run.id, dispatch_n: 3 });
  await db('message_events').insert({
    ...run,
    provider_event_id: 'SM-of-three:sent',
    source: 'twilio',
    dispatch_n: 3,
    attempt: 1,
    message_n: three.n,
    kind: 'processed',
    occurred_at: new Date(),
    payload: JSON.stringify({ detail: { providerMessageId: 'SM-of-three' } }),
  });
  const known = (await facts(ledger)).map(({ knownIds }) => knownIds.toSorted());
  expect(known).toEqual([
    ['SM-of-three', 'SM-of-two'],
    ['SM-of-one', 'SM-of-three'],
    ['SM-of-one', 'SM-of-two'],
  ]);
});

test('a message to the same number that left about then under an unknown id is a rival', async () => {
  const ledger = await inDoubt();
  const hasRival = async () => (await facts(ledger)).map((each) => each.hasRival);
  expect(await hasRival()).toEqual([false, false, false]);
  const customers = db('customers').where({ tenant_id: ledger.tenantId });
  await customers.clone().update({ phone: '+4930123456' });
  expect(await hasRival()).toEqual([true, true, true]);
  // Once two of the three are known, only they have one.
  const attempts = db('dispatch_attempts').where({ run_id: ledger.run.id });
  await attempts.clone().where('dispatch_n', '<', 3).update({ provider_message_id: 'SM-known' });
  expect(await hasRival()).toEqual([true, true, false]);
  await db('dispatches')
    .where({ run_id: ledger.run.id, n: 3 })
    .update({ called_at: new Date(Date.now() - 600_000) });
  expect(await hasRival()).toEqual([false, false, false]);
});

async function inDoubt(): Promise<TestLedger> {
  const ledger = await buildLedger(db, { zones });
  for (const _ of zones) {
    const dispatch = await ledger.claimed();
    await ledger.gate(dispatch);
    const call = { ...keyOf(ledger), dispatchN: dispatch.n, attempt: 1 };
    await inTenant(ledger, (trx) =>
      settleCall(trx, call, { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' }),
    );
  }
  return ledger;
}

async function madeAgo({ run }: TestLedger, ms: number): Promise<void> {
  await db('dispatch_attempts')
    .where({ run_id: run.id })
    .update({ called_at: new Date(Date.now() - ms) });
}

function claim(ledger: TestLedger, limit = 10) {
  return inTenant(ledger, (trx) => claimLookUps(trx, keyOf(ledger), { rule, limit }));
}

async function facts(ledger: TestLedger) {
  const found = await inTenant(ledger, (trx) =>
    lookUpFacts(trx, keyOf(ledger), { accountId: 'sendgrid', dispatchNs: [1, 2, 3] }),
  );
  return found.toSorted((a, b) => a.dispatchN - b.dispatchN);
}

function inTenant<T>({ tenantId }: TestLedger, work: (trx: Knex.Transaction) => Promise<T>) {
  return withTenant(db, tenantId, work);
}

function keyOf({ tenantId, run }: TestLedger) {
  return { tenantId, runId: run.id };
}
