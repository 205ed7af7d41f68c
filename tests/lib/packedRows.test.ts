import { packRows, unpackRows } from '../../lib/packedRows';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolMax: 1 });
});

afterAll(() => database.drop());

/** What comes back of rows of two columns that Postgres packed. */
async function through(rows: [string | null, string | null][]) {
  const packed = await database.db.raw(
    `select ${packRows(['a', 'b'])} as packed
       from unnest(cast(:a as text[]), cast(:b as text[])) with ordinality as rows (a, b, place)`,
    { a: rows.map(([a]) => a), b: rows.map(([, b]) => b) },
  );
  return unpackRows(packed.rows[0].packed, { rows: rows.length, columns: 2 });
}

test.each([
  {
    name: 'values',
    rows: [
      ['Ana', 'Abad'],
      ['Chloé', '🔔 "\\ \n'],
    ],
  },
  {
    name: 'empty texts',
    rows: [
      ['', ''],
      ['', 'x'],
      ['x', ''],
    ],
  },
  {
    name: 'nulls',
    rows: [
      [null, null],
      [null, 'x'],
      ['x', null],
      ['', null],
      [null, ''],
    ],
  },
  { name: 'one row', rows: [['x', 'y']] },
] as { name: string; rows: [string | null, string | null][] }[])(
  '$name come back',
  async ({ rows }) => {
    expect(await through(rows)).toEqual(rows);
  },
);

const parting = ['\u001d', '\u001e', '\u001f'];

test.each(parting.flatMap((sign) => [sign, `a${sign}`, `${sign}a`, `a${sign}b`, sign + sign]))(
  'a value with %j in it is found out',
  async (value) => {
    expect(await through([[value, 'x']])).toBeNull();
    expect(
      await through([
        ['x', value],
        [null, 'y'],
      ]),
    ).toBeNull();
  },
);
