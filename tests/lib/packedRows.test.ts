import { unplain, unplainInName } from '../../domain/messages/plainText';
import { markRows, packColumns, packedNull, unpackColumns } from '../../lib/packedRows';
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

test('the rows that are marked are those whose cell holds what is looked for', () => {
  const texts = ['', 'a', 'Chloé', '"', 'a<b', 'a, b', ',"', 'a\n', '🔔', 'a\u007f"', '""', 'z'];
  // Every order of four of them, so that each is first, last and beside each.
  const rows = texts.flatMap((a) =>
    texts.flatMap((b) => texts.flatMap((c) => texts.map((d) => [a, b, c, d]))),
  );
  for (const pattern of [unplain, unplainInName]) {
    const alone = new RegExp(pattern.source);
    const expected = new Map(texts.map((text) => [text, alone.test(text) ? 1 : 0]));
    for (const cells of rows) {
      const marks = new Uint8Array(cells.length);
      markRows(cells.join('\u001f'), { pattern, marks });
      expect([...marks]).toEqual(cells.map((text) => expected.get(text)));
    }
  }
});
