import { SharedTrips } from '../../activities/messages/sharedTrips';
import type { Knex, TripStatement } from '../../lib/db';
import { newId } from '../../lib/ids';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

const group = { tenantId: newId(), accountId: newId() };
const runId = newId();

/** Has so many blocks of a group at work while something is tried. */
async function whileAtWork<T>(
  trips: SharedTrips,
  blocks: number,
  work: () => Promise<T>,
  whose = group,
) {
  let end: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  const lanes = Array.from({ length: blocks }, () => trips.atWork(whose, () => over));
  try {
    return await work();
  } finally {
    end();
    await Promise.all(lanes);
  }
}

function statement(sql: string): TripStatement {
  return { raw: db.raw(sql) };
}

const which = () => statement('select pg_current_xact_id() as xact, statement_timestamp() as at');

function ask(trips: SharedTrips, n: number, statements = [which()], whose = group) {
  return trips.inOneTrip(whose, { runId, n }, statements);
}

test('two of four blocks at work go together: all locks first, by the order of their dispatches', async () => {
  const trips = new SharedTrips(db);
  const step = (n: number) =>
    statement(`select ${n} as n, nextval(pg_get_serial_sequence('order_of_trips', 'n')) as turn`);
  await db.raw('create table order_of_trips (n bigserial)');
  await db.raw('grant all on order_of_trips, order_of_trips_n_seq to carillon_tenant');

  const [second, first] = await whileAtWork(trips, 4, () =>
    Promise.all([
      ask(trips, 2, [step(2), step(2), which()]),
      ask(trips, 1, [step(1), step(1), which()]),
    ]),
  );

  expect(first).toMatchObject([[{ n: 1, turn: 1 }], [{ n: 1, turn: 3 }], [{}]]);
  expect(second).toMatchObject([[{ n: 2, turn: 2 }], [{ n: 2, turn: 4 }], [{}]]);
  expect(second?.[2]?.[0].xact).toBe(first?.[2]?.[0].xact);
});

test('one whose like does not come goes alone', async () => {
  const trips = new SharedTrips(db);

  const rows = await whileAtWork(trips, 4, () => ask(trips, 1));

  expect(rows).toMatchObject([[{ xact: expect.any(String) }]]);
});

test('blocks of different tenants never go together', async () => {
  const trips = new SharedTrips(db);
  const whose = () =>
    statement(
      `select pg_current_xact_id() as xact, current_setting('carillon.tenant_id') as whose`,
    );
  const other = { ...group, tenantId: newId() };

  const [own, others] = await whileAtWork(trips, 4, () =>
    whileAtWork(
      trips,
      4,
      () => Promise.all([ask(trips, 1, [whose()]), ask(trips, 2, [whose()], other)]),
      other,
    ),
  );

  expect(own).toMatchObject([[{ whose: group.tenantId }]]);
  expect(others).toMatchObject([[{ whose: other.tenantId }]]);
  expect(own[0]?.[0].xact).not.toBe(others[0]?.[0].xact);
});

test('one that fails takes no other with it', async () => {
  const trips = new SharedTrips(db);

  const [bad, good] = await whileAtWork(trips, 4, () =>
    Promise.allSettled([ask(trips, 1, [statement('select 1 / 0')]), ask(trips, 2)]),
  );

  expect(bad).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
  expect(good).toMatchObject({ status: 'fulfilled', value: [[{ xact: expect.any(String) }]] });
});
