import type { Knex } from '../../../lib/db';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { releaseExpiredLeases, type Slice } from '../../../models/messages/claims';
import {
  claimMessages,
  putBack,
  releaseEarlierSlices,
  type ClaimedMessage,
} from '../../../models/transactional/claims';
import { passGate, type PassedMessage } from '../../../models/transactional/gate';
import { settleCalls, type SettledCall } from '../../../models/transactional/settle';
import { tendStandingRuns } from '../../../models/transactional/tend';
import { ensureTestAccount } from '../../support/accounts';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { askForMessages, dispatchesOf } from '../../support/transactional';

let database: TestDatabase;
let db: Knex;

// The lanes serve all tenants: each test has a database that holds nobody else's messages.
beforeEach(async () => {
  database = await createTestDatabase();
  db = database.db;
  await ensureTestAccount(db);
});

afterEach(() => database.drop());

const newSlice = (attempt = 1): Slice => ({ workflowRunId: newId(), activityId: '1', attempt });

const gate = (messages: readonly ClaimedMessage[], leaseMs = 60_000) =>
  passGate(
    db,
    messages.map((message) => ({ ...message, leaveBefore: null })),
    leaseMs,
  );

const settled = (message: PassedMessage, change: Partial<SettledCall> = {}): SettledCall => ({
  ...message,
  outcome: 'accepted',
  status: 202,
  reason: null,
  providerMessageId: 'x',
  delayMs: 0,
  suppress: null,
  ...change,
});

const statesOf = async (tenantId: string) =>
  (await dispatchesOf(db, tenantId)).map(({ state }) => state);

const tend = () => acrossTenants(db, 'transactional', tendStandingRuns);

test('many lanes at once claim each message once, whoever asked for it', async () => {
  const asked = [await askForMessages(db, 20), await askForMessages(db, 20)];
  const claims = await Promise.all(
    Array.from({ length: 8 }, () => claimMessages(db, newSlice(), 10)),
  );
  const keys = claims.flat().map(({ runId, n }) => `${runId} ${n}`);
  expect(new Set(keys).size).toBe(keys.length);
  expect([...keys, ...(await claimMessages(db, newSlice(), 100))]).toHaveLength(
    asked.flatMap(({ messages }) => messages).length,
  );
});

test('the oldest are claimed first, and only as many as asked for', async () => {
  const first = await askForMessages(db, 2);
  const second = await askForMessages(db, 2);
  const claimed = await claimMessages(db, newSlice(), 3);
  expect(claimed.map(({ tenantId }) => tenantId).sort()).toEqual(
    [first.tenantId, first.tenantId, second.tenantId].sort(),
  );
});

test('only the newest claim passes the gate, once', async () => {
  const { tenantId } = await askForMessages(db, 1);
  const [old] = await claimMessages(db, newSlice(), 1);
  await putBack(db, { messages: old === undefined ? [] : [old], wait: null });
  const renewed = await claimMessages(db, newSlice(), 1);
  expect(await gate(old === undefined ? [] : [old])).toEqual([]);
  expect(await gate(renewed)).toHaveLength(1);
  expect(await gate(renewed)).toEqual([]);
  expect(await statesOf(tenantId)).toEqual(['calling']);
  expect(await db('dispatch_attempts').where({ tenant_id: tenantId })).toHaveLength(1);
});

test.each([
  ['the gate of its run is closed', () => db('campaign_runs').update({ gate: 'closed' })],
  ['the gate of its run is paused', () => db('campaign_runs').update({ gate: 'paused' })],
  ['its window is over', () => db('waves').update({ closes_at: new Date(Date.now() - 1_000) })],
  ['its lease is over', () => db('dispatches').update({ lease_until: new Date(0) })],
])('nothing leaves once %s', async (_what, change) => {
  const { tenantId } = await askForMessages(db, 1);
  const claimed = await claimMessages(db, newSlice(), 1);
  await change();
  expect(await gate(claimed)).toEqual([]);
  expect(await statesOf(tenantId)).toEqual(['claimed']);
});

test('a call that was counted in windows that are over does not leave', async () => {
  await askForMessages(db, 1);
  const claimed = await claimMessages(db, newSlice(), 1);
  const late = claimed.map((message) => ({ ...message, leaveBefore: new Date(0) }));
  expect(await passGate(db, late, 60_000)).toEqual([]);
});

test('what a later attempt finds is planned again when it was claimed, in doubt when it was calling', async () => {
  const { tenantId } = await askForMessages(db, 2);
  const slice = newSlice();
  const [called] = await claimMessages(db, slice, 1);
  await gate(called === undefined ? [] : [called]);
  await claimMessages(db, slice, 1);
  const again = () =>
    acrossTenants(db, 'transactional', (trx) =>
      releaseEarlierSlices(trx, { ...slice, attempt: 2 }),
    );
  expect(await again()).toEqual({ released: 1, doubted: 1 });
  expect(await again()).toEqual({ released: 0, doubted: 0 });
  expect(await statesOf(tenantId)).toEqual(['in_doubt', 'planned']);
});

test('a reply that comes after the lease settles the doubt; one of an older attempt moves nothing', async () => {
  const { tenantId } = await askForMessages(db, 1);
  const [message] = await gate(await claimMessages(db, newSlice(), 1), 0);
  await acrossTenants(db, 'reconcile', (trx) => releaseExpiredLeases(trx, null));
  expect(await statesOf(tenantId)).toEqual(['in_doubt']);
  if (message === undefined) {
    throw new Error('nothing passed');
  }
  await settleCalls(db, [settled({ ...message, attempt: 0 })]);
  expect(await statesOf(tenantId)).toEqual(['in_doubt']);
  await settleCalls(db, [settled(message)]);
  await settleCalls(db, [settled(message, { outcome: 'refused' })]);
  expect(await statesOf(tenantId)).toEqual(['accepted']);
});

test('one statement settles all outcomes and forgets what has ended', async () => {
  const { tenantId } = await askForMessages(db, 4);
  const passed = await gate(await claimMessages(db, newSlice(), 4));
  const outcomes = ['accepted', 'refused', 'throttled', 'in_doubt'] as const;
  await settleCalls(
    db,
    passed.map((message, index) =>
      settled(message, {
        outcome: outcomes[index] ?? 'accepted',
        reason: 'said so',
        delayMs: 60_000,
        suppress:
          outcomes[index] === 'refused'
            ? { address: message.address.toUpperCase(), reason: 'invalid' }
            : null,
      }),
    ),
  );
  expect(new Set(await statesOf(tenantId))).toEqual(
    new Set(['accepted', 'in_doubt', 'planned', 'refused']),
  );
  expect(await db('transactional_contents').where({ tenant_id: tenantId })).toHaveLength(2);
  const refused = passed[1]?.address;
  expect(await db('suppressions').where({ tenant_id: tenantId })).toMatchObject([
    { channel: 'email', address: refused, reason: 'invalid' },
  ]);
  // The one that was throttled is not due yet.
  expect(await claimMessages(db, newSlice(), 10)).toEqual([]);
});

describe('tending', () => {
  const yesterday = () => db('campaign_runs').update({ day: db.raw('day - 2') });

  test('ends runs of days before when nothing of them is open, and no others', async () => {
    const ended = await askForMessages(db, 1);
    const [message] = await gate(await claimMessages(db, newSlice(), 1));
    const open = await askForMessages(db, 1);
    await yesterday();
    const today = await askForMessages(db, 1);
    expect(await tend()).toMatchObject({ ended: 0 });
    await settleCalls(db, message === undefined ? [] : [settled(message)]);
    expect(await tend()).toMatchObject({ ended: 1 });
    expect(await tend()).toEqual({ expired: 0, unconfirmed: 0, forgotten: 0, ended: 0 });
    const stateOf = async ({ tenantId }: { tenantId: string }) =>
      (await db('campaign_runs').where({ tenant_id: tenantId }))[0].state;
    expect([await stateOf(ended), await stateOf(open), await stateOf(today)]).toEqual([
      'completed',
      'sending',
      'sending',
    ]);
  });

  test('expires what nobody could send in its window, and forgets what it said', async () => {
    const { tenantId } = await askForMessages(db, 1);
    await db('waves').update({ closes_at: new Date(Date.now() - 1_000) });
    expect(await tend()).toMatchObject({ expired: 1, forgotten: 1 });
    expect(await statesOf(tenantId)).toEqual(['expired']);
  });

  test('ends doubts that were held to their deadline as unconfirmed, never by a second call', async () => {
    const { tenantId } = await askForMessages(db, 1);
    const [message] = await gate(await claimMessages(db, newSlice(), 1));
    const doubt = { outcome: 'in_doubt', reason: 'ECONNRESET' } as const;
    await settleCalls(db, message === undefined ? [] : [settled(message, doubt)]);
    expect(await tend()).toMatchObject({ unconfirmed: 0 });
    await db('dispatches').update({ doubt_until: new Date(0) });
    expect(await tend()).toMatchObject({ unconfirmed: 1, forgotten: 1 });
    expect(await statesOf(tenantId)).toEqual(['unconfirmed']);
    expect(await claimMessages(db, newSlice(), 10)).toEqual([]);
  });

  test('a closed run of today makes room for a new one', async () => {
    const { tenantId } = await askForMessages(db, 1);
    await db('campaign_runs').update({ gate: 'closed' });
    await askForMessages(db, 1, { tenantId });
    expect(await db('campaign_runs').where({ tenant_id: tenantId })).toHaveLength(2);
  });
});
