import type { CustomerField } from '../../domain/messages/neededFields';
import { printField } from '../../domain/messages/fields';
import { loadRecipients, type Recipient } from '../../models/messages/recipients';
import { buildLedger, type TestLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

async function load(
  ledger: TestLedger,
  asked: { fields?: ReadonlySet<CustomerField>; attributes?: readonly string[] } = {},
): Promise<Recipient[]> {
  return (await loadAll(ledger, asked)).found;
}

/** The recipients of all dispatches, and the sum of the sums that came with them. */
async function loadAll(
  ledger: TestLedger,
  asked: {
    fields?: ReadonlySet<CustomerField>;
    attributes?: readonly string[];
    areHashesSummed?: boolean;
  } = {},
): Promise<{ found: Recipient[]; addresses: number }> {
  const { tenantId, run } = ledger;
  const found: Recipient[] = [];
  let sum = 0;
  const dispatches = await database.db('dispatches').where({ run_id: run.id }).orderBy('n');
  for (const row of dispatches) {
    const dispatch = {
      n: row.n,
      timeZone: row.time_zone,
      firstMessageN: row.first_message_n,
      lastMessageN: row.last_message_n,
    };
    const wanted = { tenantId, runId: run.id, channel: 'email', dispatch, ...asked } as const;
    const loaded = await loadRecipients(database.db, wanted, (one) => void found.push(one));
    sum += loaded.addresses;
  }
  return { found: found.sort((a, b) => a.n - b.n), addresses: sum };
}

const update = (id: string | undefined, row: Record<string, unknown>) =>
  database.db('customers').where({ id }).update(row);

test('every value of every customer is read as it is stored, whatever characters it holds', async () => {
  const ledger = await buildLedger(database.db, { customers: 600, zones: ['Europe/Paris', null] });
  const hostile = ['\u001d', '\u001e', '\u001f', 'a\u001fb', '', '\\', '"', '{"a":1}', "O'Hara\n"];
  for (const [index, value] of hostile.entries()) {
    // What parts values sends all of a dispatch to the other way of reading: those of no zone.
    const place = value.includes('\u001f') ? index * 2 + 1 : index * 2;
    await update(ledger.customerIds[place], {
      first_name: value,
      last_name: index % 2 === 0 ? null : value,
      tags: [value, 'b'],
      attributes: { [value === '' ? 'empty' : 'x']: value, nested: { list: [1, null, value] } },
    });
  }
  // Whoever has moved is found by the key.
  await update(ledger.customerIds[100], { time_zone: 'Asia/Tokyo', first_name: 'Moved' });
  const found = await load(ledger);
  const stored = await database
    .db('messages as m')
    .join('customers as c', 'c.id', 'm.customer_id')
    .where({ run_id: ledger.run.id })
    .orderBy('m.n')
    .select('m.n', 'c.*', database.db.raw('hashtext(c.email) as hash'));
  expect(found).toEqual(
    stored.map((row) => ({
      n: row.n,
      email: row.email,
      addressHash: row.hash,
      firstName: row.first_name,
      lastName: row.last_name,
      phone: row.phone,
      language: row.language,
      timeZone: row.time_zone,
      externalId: row.external_id,
      tags: row.tags,
      attributes: row.attributes,
      isPlain: expect.any(Boolean),
    })),
  );
});

test('hashes add up to the same whether each is told or not, whoever has to be read again', async () => {
  const ledger = await buildLedger(database.db, { customers: 40, zones: ['Europe/Paris'] });
  await update(ledger.customerIds[1], { time_zone: 'Asia/Tokyo' });
  await update(ledger.customerIds[2], { attributes: { x: '1.50' } });
  await update(ledger.customerIds[3], { email: null });
  const asked = { fields: new Set(['attributes'] as const), attributes: ['x'] };
  const each = await loadAll(ledger, asked);
  const told = each.found.reduce((sum, { addressHash }) => sum + (addressHash ?? 0), 0);
  const summed = await loadAll(ledger, { ...asked, areHashesSummed: true });
  await update(ledger.customerIds[4], { first_name: 'a\u001fb' });
  const read = await loadAll(ledger, { ...asked, areHashesSummed: true });
  expect(each.addresses).toBe(told);
  expect(summed.addresses).toBe(told);
  expect(read.addresses).toBe(told);
  expect(new Set(summed.found.map(({ n }) => n)).size).toBe(40);
  expect(new Set(read.found.map(({ n }) => n)).size).toBe(40);
});

test('only those are told to be plain whose texts hold nothing that has to be escaped', async () => {
  const ledger = await buildLedger(database.db, { customers: 60, zones: ['Europe/Paris'] });
  const unplain = ['"', '\\', '<b>', "O'Hara", 'a&b', '\n', '\u007f', '\u{1f600}', '\u0001'];
  const unplainNames = ['Ana, Bea', 'a;b'];
  const texts = [...unplain, ...unplainNames, 'Chloé', 'a=b #1 (x)', ''];
  for (const [index, text] of texts.entries()) {
    await update(ledger.customerIds[index * 3], { first_name: text });
    await update(ledger.customerIds[index * 3 + 1], { attributes: { city: text } });
  }
  const found = await load(ledger, { fields: new Set(['attributes']), attributes: ['city'] });
  const cityOf = ({ attributes: { city } }: Recipient) => (typeof city === 'string' ? city : '');
  const expected = found.map(
    (one) =>
      !unplain.concat(unplainNames).includes(one.firstName ?? '') && !unplain.includes(cityOf(one)),
  );
  expect(found.map((one) => one.isPlain)).toEqual(expected);
  expect(found.filter((one) => one.isPlain).length).toBeGreaterThan(30);
});

test('an attribute that is only printed prints the same as when all are read', async () => {
  const texts = [
    'plain',
    '',
    '007',
    '1e5',
    '1.50',
    '5000',
    'false',
    'true',
    '[1]',
    '{"a":1}',
    ' 1',
  ];
  const numbers = [0, -1, 1.5, 1e21, 1e-7, 123_456_789_012_345_680_000, 0.1];
  const values: unknown[] = [...texts, ...numbers, true, false, null, [1, 2], {}];
  const ledger = await buildLedger(database.db, { customers: values.length + 1 });
  for (const [index, value] of values.entries()) {
    await update(ledger.customerIds[index], { attributes: { value, other: 'x' } });
  }
  // Numbers that Postgres writes in another way than JavaScript.
  await update(ledger.customerIds[values.length], {
    attributes: database.db.raw(`'{"value": 1.500, "other": "x"}'::jsonb`),
  });
  const fields = new Set<CustomerField>(['attributes']);
  const whole = await load(ledger, { fields });
  const printed = await load(ledger, { fields, attributes: ['value'] });
  const show = ({ n, attributes: { value } }: Recipient) => ({
    n,
    shown: printField(value, null) ?? { notPlain: value },
    withDefault: printField(value, 'nothing') ?? { notPlain: value },
  });
  expect(printed.map(show)).toEqual(whole.map(show));
  expect(printed.some(({ attributes }) => !('other' in attributes))).toBe(true);
});
