import type { AccountSender } from '../../activities/messages/accountSenders';
import { createRunContents } from '../../activities/messages/runContent';
import { createSendLane } from '../../activities/messages/sendLane';
import type { Knex } from '../../lib/db';
import { acceptingSender } from '../support/accountSender';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterEach(async () => {
  jest.restoreAllMocks();
  await db('provider_limits').delete();
  await db('provider_accounts').update({ blocked_until: null, blocked_reason: null });
});

afterAll(() => database.drop());

const customers = 150;
const nothing = { accepted: 0, refused: 0, leftOut: 0, inDoubt: 0 };

/** Takes the ledger's one dispatch through a lane; `sent` hears of each message that left. */
async function runLane(
  ledger: TestLedger,
  sent: (n: number) => Promise<unknown>,
  inTurn: AccountSender['inTurn'] = (work) => work(),
) {
  const dispatch = await ledger.claimed();
  const sender = acceptingSender({
    inTurn,
    async send(_, { messageN }) {
      await sent(messageN);
      return { kind: 'accepted', status: 202, providerMessageId: null };
    },
  });
  const sendLane = createSendLane({
    db,
    leaseMs: 60_000,
    publicUrl: 'http://carillon.test',
    trackingTokens: { token: ({ messageN }) => `token-${messageN}` },
  });
  return sendLane({
    wave: ledger.wave(),
    dispatch,
    content: await createRunContents({ db })(ledger.tenantId, ledger.run.id),
    sender,
    signal: new AbortController().signal,
    endsAtMs: Date.now() + 60_000,
  });
}

const hourlyLimit = {
  account_id: 'sendgrid',
  per: 'hour',
  unit: 'messages',
  most: 1,
};

test('a lane without limits sends each message once and ends its dispatch', async () => {
  const ledger = await buildLedger(db, { customers });
  const sent: number[] = [];
  const counts = await runLane(ledger, async (n) => sent.push(n));
  expect(counts).toEqual({ ...nothing, dispatches: 1, accepted: customers });
  expect(sent.toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: customers }, (_, i) => i + 1),
  );
  expect(await db('dispatches').where({ run_id: ledger.run.id })).toMatchObject([
    { state: 'accepted' },
  ]);
});

test('a lane whose account is asked to wait calls nobody and says until when', async () => {
  const ledger = await buildLedger(db, { customers });
  const until = new Date(Date.now() + 3_600_000);
  await db('provider_accounts')
    .where({ id: 'sendgrid' })
    .update({ blocked_until: until, blocked_reason: 'providerThrottled' });
  const sent: number[] = [];
  const counts = await runLane(ledger, async (n) => sent.push(n));
  expect(counts).toEqual({ ...nothing, dispatches: 0 });
  expect(sent).toEqual([]);
  const [dispatch] = await db('dispatches').where({ run_id: ledger.run.id });
  expect(dispatch).toMatchObject({ state: 'planned', wait_reason: 'providerThrottled' });
  expect(Math.abs(dispatch.not_before.getTime() - until.getTime())).toBeLessThan(60_000);
});

test('a first limit, set while a lane is at work, holds for the blocks that begin a second later', async () => {
  const ledger = await buildLedger(db, { customers });
  const startedAtMs = performance.now();
  let clockMs = startedAtMs;
  jest.spyOn(performance, 'now').mockImplementation(() => clockMs);
  const sent: number[] = [];
  const counts = await runLane(ledger, async (n) => {
    sent.push(n);
    if (sent.length === 64) {
      await db('provider_limits').insert({ ...hourlyLimit, used: 1, window_start: new Date() });
      clockMs = startedAtMs + 1_001;
    }
  });
  expect(counts).toEqual({ ...nothing, dispatches: 1, accepted: 64 });
  expect(sent).toHaveLength(64);
  const [first, rest] = await db('dispatches').where({ run_id: ledger.run.id }).orderBy('n');
  expect(first).toMatchObject({ state: 'accepted', settled_upto: 64 });
  expect(rest).toMatchObject({ state: 'planned', message_count: customers - 64 });
  expect(rest.wait_reason).toContain('rateLimit');
});

test('a lane leaves its turn to others before it writes what became of its last block', async () => {
  const ledger = await buildLedger(db, { customers });
  const settledAtEndOfTurn: number[] = [];
  const counts = await runLane(
    ledger,
    () => Promise.resolve(),
    async (work) => {
      const done = await work();
      const [dispatch] = await db('dispatches').where({ run_id: ledger.run.id });
      settledAtEndOfTurn.push(dispatch.settled_upto);
      return done;
    },
  );
  expect(settledAtEndOfTurn).toEqual([128]);
  expect(counts).toEqual({ ...nothing, dispatches: 1, accepted: customers });
  expect(await db('dispatches').where({ run_id: ledger.run.id })).toMatchObject([
    { state: 'accepted', settled_upto: customers },
  ]);
});
