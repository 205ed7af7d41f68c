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
  const { tenantId, run } = ledger;
  const found: Recipient[] = [];
  const dispatches = await database.db('dispatches').where({ run_id: run.id }).orderBy('n');
  for (const row of dispatches) {
    const dispatch = {
      n: row.n,
      timeZone: row.time_zone,
      firstMessageN: row.first_message_n,
      lastMessageN: row.last_message_n,
    };
    const wanted = { tenantId, runId: run.id, channel: 'email', dispatch, ...asked } as const;
    await loadRecipients(database.db, wanted, (one) => void found.push(one));
  }
  return found.sort((a, b) => a.n - b.n);
}

const update = (id: string | undefined, row: Record<string, unknown>) =>
  database.db('customers').where({ id }).update(row);

test('every value of every customer is read as it is stored, whatever characters it holds', async () => {
  const ledger = await buildLedger(database.db, { customers: 600, zones: ['Europe/Paris', null] });
  const hostile = ['\u001d', '\u001e', '\u001f', 'a\u001fb', '', '\\', '"', '{"a":1}', "O'Hara\n"];
  for (const [index, value] of hostile.entries()) {
    await update(ledger.customerIds[index * 3], {
      first_name: value,
      last_name: index % 2 === 0 ? null : value,
      tags: [value, 'b'],
      attributes: { [value === '' ? 'empty' : 'x']: value, nested: { list: [1, null, value] } },
    });
  }
  // Whoever has moved is found by the key.
  await update(ledger.customerIds[1], { time_zone: 'Asia/Tokyo', first_name: 'Moved' });
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
    })),
  );
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
