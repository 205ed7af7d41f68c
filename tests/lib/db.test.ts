import { inOneTrip, prepareOnce, type Cells, type Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;
let db: Knex;

beforeAll(async () => {
  // One connection, so that each trip finds what the last one left behind.
  database = await createTestDatabase({ poolMax: 1 });
  db = database.db;
});

afterAll(() => database.drop());

const insertTenant = (id: string) =>
  db.raw('insert into tenants (id, name) values (?, ?) returning name', [id, 'Shop']);

test('statements of one trip are committed together, each with its rows', async () => {
  const id = newId();
  const rows = await inOneTrip(db, [
    { raw: insertTenant(id) },
    { raw: db.raw('select count(*) as n from tenants where id = :id', { id }) },
  ]);
  expect(rows).toEqual([[{ name: 'Shop' }], [{ n: 1 }]]);
  expect(await db('tenants').where({ id })).toHaveLength(1);
});

test('when one fails, none of them has happened and the connection serves the next', async () => {
  const id = newId();
  const trip = inOneTrip(db, [
    { raw: insertTenant(id) },
    { raw: db.raw('select 1 / 0') },
    { raw: db.raw('select 1') },
  ]);
  await expect(trip).rejects.toThrow('division by zero');
  expect(await db('tenants').where({ id })).toHaveLength(0);
});

test('a statement that was planned under a name serves again after it failed', async () => {
  const halves = (n: number) =>
    db.raw('select 10 / cast(:n as int) as x', { n }).options({ name: 'x' });
  await expect(inOneTrip(db, [{ raw: halves(0) }])).rejects.toThrow('division by zero');
  expect(await inOneTrip(db, [{ raw: halves(5) }])).toEqual([[{ x: 2 }]]);
});

test('rows are taken one by one, and whoever refuses one fails the trip', async () => {
  const raw = db.raw('select n from generate_series(1, 3) as n').options({ rowMode: 'array' });
  const taken: Cells[] = [];
  expect(await inOneTrip(db, [{ raw, onRow: (row) => taken.push(row) }])).toEqual([[]]);
  expect(taken).toEqual([[1], [2], [3]]);
  const refuse = () => {
    throw new Error('not this one');
  };
  await expect(inOneTrip(db, [{ raw, onRow: refuse }])).rejects.toThrow('not this one');
  expect(await inOneTrip(db, [{ raw: db.raw('select 1 as x') }])).toEqual([[{ x: 1 }]]);
});

test('a statement that is prepared once takes its values by name, however often each is named', async () => {
  const sums = prepareOnce(
    'sums',
    'select cast(:a as int) + cast(:b as int) * cast(:a as int) as x',
  );
  expect(sums({ a: 2, b: 3 })).toMatchObject({ values: [2, 3] });
  expect(await inOneTrip(db, [{ raw: sums({ a: 2, b: 3 }) }])).toEqual([[{ x: 8 }]]);
  expect(await inOneTrip(db, [{ raw: sums({ b: 1, a: 4 }) }])).toEqual([[{ x: 8 }]]);
  expect(() => sums({ a: 2 })).toThrow('The statement sums was given no :b');
});
