import { LaneTurns } from '../../activities/messages/laneTurns';
import type { RateLimit } from '../../domain/messages/rateLimits';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { ensureTestAccount } from '../support/accounts';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
  await ensureTestAccount(db, { limitPerMinute: 100 });
});

afterAll(() => database.drop());

const hourly: RateLimit = { per: 'hour', unit: 'messages', most: 1_000 };

function turnsWith(limitsNow: () => RateLimit[]): LaneTurns {
  return new LaneTurns(db, {
    accountId: 'sendgrid',
    tenantId: newId(),
    signal: new AbortController().signal,
    endsAtMs: Date.now() + 60_000,
    leaseMs: 60_000,
    mostInBlock: 64,
    limitsNow: async () => limitsNow(),
  });
}

test('nothing has to be done before a turn at an account without limits', async () => {
  const before = jest.fn(async () => undefined);
  expect(await turnsWith(() => []).take(10, before)).toEqual({ kind: 'go', leave: null });
  expect(before).not.toHaveBeenCalled();
});

test('what has to be done before waiting is done once limits are found', async () => {
  const turns = turnsWith(() => [hourly]);
  const used = async () =>
    (await db('provider_limits').where({ account_id: 'sendgrid' })).at(0)?.used;
  const usedBefore: unknown[] = [];
  const turn = await turns.take(3, async () => void usedBefore.push(await used()));
  expect(turn).toMatchObject({ kind: 'go' });
  expect(usedBefore).toEqual([0]);
  expect(await used()).toBe(3);
});
