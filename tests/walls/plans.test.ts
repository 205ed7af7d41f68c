import { createDatabase, type Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import { suppressedAmong } from '../../models/campaigns/testSends';
import { customersWhere } from '../../models/customers/customers';
import { findRecipient } from '../../models/transactional/recipients';
import { claimMessages } from '../../models/transactional/claims';
import { passGate as passTransactionalGate } from '../../models/transactional/gate';
import { findPreferences } from '../../models/tracking/preferences';
import { passGate } from '../../models/messages/gate';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { ensureTestAccount } from '../support/accounts';
import { buildLedger, type TestLedger } from '../support/ledger';
import { askForMessages } from '../support/transactional';

interface Plan {
  sql: string;
  scans: Scan[];
}

interface Scan {
  type: string;
  table: string;
  condition: string;
}

let database: TestDatabase;
let watched: Knex;
let plans: Plan[] = [];
let ledger: TestLedger;

// As many as make a wrong plan dear: each of two tenants has so many customers and suppressions.
const many = 20_000;

beforeAll(async () => {
  database = await createTestDatabase();
  const { db } = database;
  ledger = await buildLedger(db, { customers: 50 });
  const other = await buildLedger(db, { customers: 3 });
  for (const { tenantId } of [ledger, other]) {
    await db.raw(
      `insert into customers (id, tenant_id, email, time_zone)
       select gen_random_uuid(), ?, 'm' || i || '@example.com', 'Europe/Paris'
         from generate_series(1, ${many}) i`,
      [tenantId],
    );
    await db.raw(
      `insert into suppressions (tenant_id, channel, address, reason)
       select ?, 'email', 'gone' || i || '@example.com', 'bounced' from generate_series(1, ${many}) i`,
      [tenantId],
    );
  }
  await db.raw('analyze');
  const name = new URL(database.url).pathname.slice(1);
  const settings = {
    session_preload_libraries: 'auto_explain',
    client_min_messages: 'log',
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_format': 'json',
    'auto_explain.log_nested_statements': 'on',
  };
  for (const [setting, value] of Object.entries(settings)) {
    await db.raw(`alter database ${name} set ${setting} = '${value}'`);
  }
  watched = listening(database.url);
});

afterAll(async () => {
  await watched.destroy();
  await database.drop();
});

/** A pool of the product's whose plans are told. */
function listening(url: string): Knex {
  const db = createDatabase({ url, applicationName: 'carillon-test-plans', poolMax: 1 });
  const connect = db.client.acquireRawConnection.bind(db.client);
  db.client.acquireRawConnection = async () => {
    const connection = await connect();
    connection.on('notice', ({ message }: { message: string }) => {
      const json = message.slice(message.indexOf('{'));
      if (message.includes('plan:')) {
        const told = JSON.parse(json);
        plans.push({ sql: told['Query Text'], scans: scansOf(told.Plan) });
      }
    });
    return connection;
  };
  return db;
}

// oxlint-disable-next-line typescript/no-explicit-any -- as Postgres writes plans
function scansOf(node: any): Scan[] {
  const own =
    node['Relation Name'] === undefined || node['Node Type'] === 'ModifyTable'
      ? []
      : [
          {
            type: node['Node Type'],
            table: node['Relation Name'],
            condition: node['Index Cond'] ?? node['TID Cond'] ?? '',
          },
        ];
  return [...own, ...(node.Plans ?? []).flatMap(scansOf)];
}

async function scansIn(table: string, work: () => Promise<unknown>): Promise<Scan[]> {
  plans = [];
  await work();
  const found = plans.flatMap(({ scans }) => scans).filter((scan) => scan.table === table);
  expect(found).not.toEqual([]);
  return found;
}

const byAddress = (scan: Scan) => scan.condition.includes('(address = ');
const isIndexed = (scan: Scan) => scan.type.startsWith('Index') && scan.condition !== '';

test('the gate finds suppressions by their addresses, whether all pass or some are left out', async () => {
  const dispatch = await ledger.claimed();
  const loaded = await ledger.load(dispatch);
  const call = {
    tenantId: ledger.tenantId,
    runId: ledger.run.id,
    channel: 'email' as const,
    dispatch,
    leaseMs: 60_000,
    leaveBefore: null,
    loaded,
  };
  const scans = await scansIn('suppressions', () =>
    passGate(watched, { ...call, notRendered: [loaded.ns[0] ?? 0] }),
  );
  expect(scans.filter((scan) => !byAddress(scan))).toEqual([]);
});

test('so do the gate of single messages, tests, and the preference page', async () => {
  const { db } = database;
  await ensureTestAccount(db);
  await askForMessages(db, 3, { tenantId: ledger.tenantId });
  await db.raw('analyze');
  const slice = { workflowRunId: newId(), activityId: '1', attempt: 1 };
  const claimed = await claimMessages(watched, slice, 10);
  expect(claimed).toHaveLength(3);
  const scans = [
    ...(await scansIn('suppressions', () =>
      passTransactionalGate(
        watched,
        claimed.map((message) => ({ ...message, leaveBefore: null })),
        60_000,
      ),
    )),
    ...(await scansIn('suppressions', () =>
      withTenant(watched, ledger.tenantId, (trx) =>
        suppressedAmong(trx, {
          tenantId: ledger.tenantId,
          channel: 'email',
          addresses: ['Gone1@example.com'],
        }),
      ),
    )),
    ...(await scansIn('suppressions', () =>
      acrossTenants(watched, 'tracking', (trx) =>
        findPreferences(trx, { runId: ledger.run.id, messageN: 1 }),
      ),
    )),
  ];
  expect(scans.filter((scan) => !byAddress(scan))).toEqual([]);
});

test('customers are found by their addresses with the index, also those that are only listed', async () => {
  const { tenantId } = ledger;
  const email = 'M17@example.com';
  const searches: ((trx: Knex.Transaction) => Promise<unknown>)[] = [
    (trx) => findRecipient(trx, tenantId, { email }),
    async (trx) => customersWhere(trx, tenantId, { email }),
  ];
  for (const find of searches) {
    const scans = await scansIn('customers', () => withTenant(watched, tenantId, find));
    expect(scans.filter((scan) => !isIndexed(scan))).toEqual([]);
    expect(scans.some(({ condition }) => condition.includes('lower(email)'))).toBe(true);
  }
});

test('of all tenants those are found who have an address, with the index', async () => {
  const scans = await scansIn('customers', () =>
    acrossTenants(watched, 'eventApply', (trx) =>
      trx.raw('select * from tenants_of_email(?)', ['m17@example.com']),
    ),
  );
  expect(scans.filter(({ condition }) => !condition.includes('lower('))).toEqual([]);
});
