import { readFileSync } from 'node:fs';
import path from 'node:path';
import { acrossTenants, withTenant } from '../../models/base';
import { releaseExpiredLeases } from '../../models/messages/claims';
import { countRun } from '../../models/messages/counts';
import { buildLedger } from '../support/ledger';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

const operations = readFileSync(path.join(__dirname, '../../docs/OPERATIONS.md'), 'utf8');
const afterRestore = /```sql\n(\s*begin;(?:(?!```).)*?commit;)\n/s.exec(operations)?.[1] ?? '';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

test.each([
  { name: 'calls of many', settings: { region: 'global' }, dispatches: 1 },
  { name: 'a call a message', settings: { region: 'global', messagesPerCall: 1 }, dispatches: 3 },
])(
  'what OPERATIONS.md says to run on a restored database doubts what was due: $name',
  async ({ settings, dispatches }) => {
    const { db } = database;
    const { tenantId, run } = await buildLedger(db, { customers: 3 });
    await db('provider_accounts').where({ id: 'sendgrid' }).update({ settings });
    await db.raw(afterRestore);
    await acrossTenants(db, 'reconcile', (trx) => releaseExpiredLeases(trx, null));
    expect(await withTenant(db, tenantId, (trx) => countRun(trx, tenantId, run.id))).toMatchObject({
      planned: 3,
      inDoubt: 3,
      open: 0,
    });
    const doubts = await db('dispatches').where({ run_id: run.id, state: 'in_doubt' });
    expect(doubts).toHaveLength(dispatches);
    expect(doubts.map((row: { attempt: number }) => row.attempt)).toEqual(doubts.map(() => 1));
  },
);
