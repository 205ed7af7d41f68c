import { listenTo, type Notifications } from '../../lib/listen';
import { until } from '../support/conditions';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;
let told: Notifications;

beforeAll(async () => {
  database = await createTestDatabase();
});

beforeEach(() => {
  told = listenTo(database.db, 'bells');
});

afterEach(() => told.close());

afterAll(() => database.drop());

const never = new AbortController().signal;
// Longer than a test may take: whoever waits for it was not told.
const longMs = 600_000;

const listeners = () =>
  database.db('pg_stat_activity').where({ query: 'listen bells' }).select('pid');

/** Waits until it listens: what was told before is told then. */
async function untilItListens(): Promise<void> {
  await told.next(longMs, never);
  expect(await listeners()).toHaveLength(1);
}

test('wakes whoever waits, and remembers what nobody waited for', async () => {
  await untilItListens();
  const waiting = told.next(longMs, never);
  await database.db.raw('notify bells');
  await expect(waiting).resolves.toBeUndefined();

  await database.db.raw('notify bells');
  await expect(told.next(longMs, never)).resolves.toBeUndefined();
});

test('returns after the time, and at once when asked to stop', async () => {
  await untilItListens();
  await told.next(10, never);
  const stop = new AbortController();
  const waiting = told.next(longMs, stop.signal);
  stop.abort();
  await expect(waiting).resolves.toBeUndefined();
  await expect(told.next(longMs, stop.signal)).resolves.toBeUndefined();
});

test('listens again when its connection is lost', async () => {
  await untilItListens();
  const [{ pid }] = await listeners();
  await database.db.raw('select pg_terminate_backend(?)', [pid]);
  await until('a new connection', async () => {
    await told.next(20, never);
    const found: { pid: number }[] = await listeners();
    return found.some((each) => each.pid !== pid);
  });
  await told.next(20, never);
  const waiting = told.next(longMs, never);
  await database.db.raw('notify bells');
  await expect(waiting).resolves.toBeUndefined();
});
