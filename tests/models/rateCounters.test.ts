import { RateLimiterPostgres } from 'rate-limiter-flexible';
import { newId } from '../../lib/ids';
import { rateCounterStore } from '../../models/requests/rateCounters';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

function limiterOf(points: number): RateLimiterPostgres {
  return new RateLimiterPostgres({
    storeClient: rateCounterStore(database.app),
    storeType: 'pool',
    tableName: 'rate_counters',
    tableCreated: true,
    clearExpiredByTimeout: false,
    keyPrefix: 'test',
    points,
    duration: 60,
  });
}

test('the library counts every one of many at once as the application', async () => {
  const [limiter, caller] = [limiterOf(1_000), newId()];
  await Promise.all(Array.from({ length: 50 }, () => limiter.consume(caller)));
  expect((await limiter.get(caller))?.consumedPoints).toBe(50);
  const rows = await database.db('rate_counters').where({ key: `test:${caller}` });
  expect(rows).toMatchObject([{ points: 50 }]);
});

test('it forgets a caller, and all whose windows are over', async () => {
  const [limiter, caller, other] = [limiterOf(5), newId(), newId()];
  await limiter.consume(caller);
  await limiter.consume(other);
  await limiter.delete(caller);
  expect(await limiter.get(caller)).toBeNull();

  const store = rateCounterStore(database.app);
  const text = 'DELETE FROM "rate_counters" WHERE expire < $1';
  await store.query({ text, values: [Date.now() + 120_000], name: 'test-clear' });
  expect(await database.db('rate_counters').where({ key: `test:${other}` })).toEqual([]);
});

test('the table is unlogged: a count waits for no disk', async () => {
  const [table] = await database.db('pg_class').where({ relname: 'rate_counters' });
  expect(table).toMatchObject({ relpersistence: 'u' });
});
