import { packColumns, packedNull, unpackColumns } from '../../lib/packedRows';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ poolMax: 1 });
});

afterAll(() => database.drop());

/** What comes back of rows of two columns that Postgres packed. */
async function through(rows: [string | null, string | null][]) {
  const packed = await database.db
    .raw(
      `select ${packColumns(['a', 'b'])}
         from unnest(cast(:a as text[]), cast(:b as text[])) with ordinality as rows (a, b, place)`,
      { a: rows.map(([a]) => a), b: rows.map(([, b]) => b), none: packedNull },
    )
    .options({ rowMode: 'array' });
  const [a, b] = unpackColumns(packed.rows[0], { rows: rows.length }) ?? [];
  return a === undefined || b === undefined ? null : a.map((value, row) => [value, b[row]]);
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

test('what looks like a mark of ours comes back', async () => {
  const rows: [string, string][] = [
    ['\u001d', '\u001e'],
    [`${packedNull}x`, `x${packedNull}`],
  ];
  expect(await through(rows)).toEqual(rows);
});

const parting = '\u001f';

test.each([parting, `a${parting}`, `${parting}a`, `a${parting}b`, parting + parting])(
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
