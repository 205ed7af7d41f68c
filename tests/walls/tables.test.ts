import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { platformRole, tenantRole } from '../../migrations/walls';
import { acrossTenants, withTenant, type CrossTenantPurpose } from '../../models/base';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { anyRow } from './anyRow';

let database: TestDatabase;
let tables: string[];
let ofTenants: string[];

const mine = newId();
const theirs = newId();

// Rows of a tenant that have no column of it: how one of a tenant's is made, and how theirs are known.
const children: Record<string, { row: object; isTheirs: string }> = {
  provider_limits: {
    row: { per: 'minute', unit: 'calls', most: 1 },
    isTheirs: 'account_id',
  },
};

// What everybody may see, with the reason.
const shared: Record<string, string> = {
  llm_models: 'the catalogue of models, which is public',
  llm_price_snapshots: 'the prices of models, which are public',
  waiting_events: 'numbers of events, which say nothing without these',
};

// What has no walls: no tenant's data, and none of it may be written.
const withoutWalls = ['knex_migrations', 'knex_migrations_lock'];

beforeAll(async () => {
  database = await createTestDatabase();
  const { db } = database;
  tables = await names(
    db,
    `select table_name as name from information_schema.tables
      where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`,
  );
  const withTenantColumn = await names(
    db,
    `select table_name as name from information_schema.columns
      where table_schema = 'public' and column_name = 'tenant_id' order by 1`,
  );
  ofTenants = withTenantColumn.filter((table) => tables.includes(table));
  for (const tenantId of [mine, theirs]) {
    await fill(db, tenantId);
  }
});

afterAll(() => database.drop());

/** At least one row of the tenant in every table, without what they would refer to. */
async function fill(db: Knex, tenantId: string): Promise<void> {
  await db.transaction(async (trx) => {
    await trx.raw(`set local session_replication_role = 'replica'`);
    for (const table of ['tenants', ...ofTenants]) {
      await trx(table).insert(await anyRow(db, table, tenantId));
    }
    const account = await trx('provider_accounts').where({ tenant_id: tenantId }).first();
    await trx('provider_limits').insert({
      ...children['provider_limits']?.row,
      account_id: account.id,
    });
  });
}

async function names(db: Knex, sql: string, bindings: string[] = []): Promise<string[]> {
  const found = await db.raw(sql, bindings);
  return found.rows.map(({ name }: { name: string }) => name);
}

const tenantColumn = (table: string) => (table === 'tenants' ? 'id' : 'tenant_id');

test('every table with data of tenants has walls', async () => {
  const { db } = database;
  const walled = await names(
    db,
    `select relname as name from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace and relrowsecurity`,
  );
  const ofTenant = await names(
    db,
    `select distinct tablename as name from pg_policies where '${tenantRole}' = any(roles)`,
  );
  expect(ofTenants.length).toBeGreaterThan(25);
  expect(tables.filter((table) => !walled.includes(table))).toEqual(withoutWalls);
  expect(tables.filter((table) => !ofTenant.includes(table))).toEqual(withoutWalls);
});

test('what every tenant sees is known, and why', async () => {
  const open = await names(
    database.db,
    `select tablename as name from pg_policies
      where '${tenantRole}' = any(roles) and (qual = 'true' or with_check = 'true') order by 1`,
  );
  expect(open).toEqual(Object.keys(shared));
});

test('nobody but the owner may do anything with a table, and the two roles only what is granted', async () => {
  const grantees = await names(
    database.db,
    `select distinct coalesce(r.rolname, 'public') as name
       from pg_class c cross join lateral aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
      where c.relnamespace = 'public'::regnamespace and a.grantee <> c.relowner`,
  );
  expect(grantees.toSorted()).toEqual([platformRole, tenantRole].toSorted());
  const written = await names(
    database.db,
    `select table_name as name from information_schema.role_table_grants
      where grantee in ('${tenantRole}', '${platformRole}') and privilege_type <> 'SELECT'
        and table_name = any(?)`,
    [`{${withoutWalls.join(',')}}`],
  );
  expect(written).toEqual([]);
  const strong = await names(
    database.db,
    `select table_name as name from information_schema.role_table_grants
      where grantee in ('${tenantRole}', '${platformRole}')
        and privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')`,
  );
  expect(strong).toEqual([]);
});

test('a tenant sees its own rows alone, in every table', async () => {
  const wrong: unknown[] = [];
  let seen = 0;
  for (const table of ['tenants', ...ofTenants]) {
    const column = tenantColumn(table);
    expect([table, await database.db(table).where({ [column]: theirs })]).toEqual([
      table,
      expect.arrayContaining([expect.anything()]),
    ]);
    const rows = await attempt((trx) => trx(table).select(column));
    if (rows === 'refused') {
      continue;
    }
    const tenants = rows.map((row: Record<string, string>) => row[column]);
    seen += tenants.length;
    if (!tenants.includes(mine) || tenants.some((id) => id !== mine)) {
      wrong.push([table, tenants]);
    }
  }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThan(20);
});

test('a tenant sees the limits of its own accounts', async () => {
  const rows = await withTenant(database.app, mine, (trx) => trx('provider_limits'));
  const accounts = await database.db('provider_accounts').where({ tenant_id: mine });
  expect(rows).toHaveLength(1);
  expect(rows[0].account_id).toBe(accounts[0].id);
});

test('a tenant sees of the platform’s accounts what it needs to send by them, and no other’s', async () => {
  await database.db('provider_accounts').insert({ id: 'ours' });
  const seen = await withTenant(database.app, mine, (trx) => trx('usable_accounts'));
  const owners = seen.map(({ tenant_id }: { tenant_id: string | null }) => tenant_id);
  expect(owners).toHaveLength(2);
  expect(new Set(owners)).toEqual(new Set([mine, null]));
  expect(seen[0]).not.toHaveProperty('credentials');
  const rows = await withTenant(database.app, mine, (trx) => trx('provider_accounts'));
  expect(rows).toMatchObject([{ tenant_id: mine }]);
  await database.db('provider_accounts').where({ id: 'ours' }).delete();
});

describe.each(['update', 'delete'] as const)('%s without a condition', (verb) => {
  test('changes rows of the tenant alone, in every table', async () => {
    const before = await sums();
    const wrong: unknown[] = [];
    let changed = 0;
    for (const table of ['tenants', ...ofTenants]) {
      const column = tenantColumn(table);
      const statement =
        verb === 'update'
          ? `update ${table} set ${column} = ${column} returning ${column} as tenant`
          : `delete from ${table} returning ${column} as tenant`;
      const answer = await attempt((trx) => trx.raw(statement));
      if (answer !== 'refused') {
        const rows: { tenant: string }[] = answer.rows;
        changed += rows.length;
        if (rows.some(({ tenant }) => tenant !== mine)) {
          wrong.push([table, rows]);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(changed).toBeGreaterThan(verb === 'update' ? 10 : 3);
    expect(await sums()).toEqual(before);
  });
});

test('no row can be written for another tenant, or given to one', async () => {
  const wrong: unknown[] = [];
  for (const table of ofTenants) {
    const row = await anyRow(database.db, table, theirs);
    const written = await attempt((trx) => trx(table).insert(row));
    const given = await attempt((trx) => trx(table).update({ tenant_id: theirs }));
    if (written !== 'refused' || given !== 'refused') {
      wrong.push([table, written, given]);
    }
  }
  expect(wrong).toEqual([]);
});

test('without a tenant the tenants’ role sees nothing', async () => {
  const wrong: unknown[] = [];
  for (const table of ['tenants', ...ofTenants]) {
    const rows = await attempt(async (trx) => {
      await trx.raw(`select set_config('carillon.tenant_id', '', true)`);
      return trx(table).select('*');
    });
    if (rows !== 'refused' && rows.length > 0) {
      wrong.push([table, rows.length]);
    }
  }
  expect(wrong).toEqual([]);
});

test('a purpose sees the tables that are opened for it, and no others', async () => {
  const policies: { table: string; purpose: string }[] = (
    await database.db.raw(
      `select tablename as table, substring(qual from ' = ''([A-Za-z]+)''') as purpose
         from pg_policies where '${platformRole}' = any(roles) and cmd = 'SELECT'`,
    )
  ).rows;
  const purposes = [...new Set(policies.map(({ purpose }) => purpose))];
  expect(purposes).toEqual(expect.arrayContaining(['reconcile', 'eventApply', 'identity']));
  const wrong: unknown[] = [];
  for (const purpose of [...purposes, 'something else']) {
    for (const table of ['tenants', ...ofTenants]) {
      const isOpened = policies.some((one) => one.table === table && one.purpose === purpose);
      const rows = await attemptFor(purpose, (trx) => trx(table).select('*'));
      const isSeen = rows !== 'refused' && rows.length > 1;
      if (isSeen !== isOpened) {
        wrong.push([purpose, table, isSeen]);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('the application itself may do nothing with a table, and nothing about the walls', async () => {
  const { app } = database;
  for (const table of tables) {
    await expect(app(table).select('*')).rejects.toMatchObject({ code: '42501' });
  }
  const statements = [
    'drop policy tenant_own on customers',
    'alter table customers disable row level security',
    `create policy mine on customers to ${tenantRole} using (true)`,
    `alter table customers owner to ${tenantRole}`,
    'alter role current_user bypassrls',
    'create table mine (id int)',
    'set role postgres',
  ];
  for (const statement of statements) {
    await expect(app.raw(statement)).rejects.toMatchObject({ code: '42501' });
    await expect(withTenant(app, mine, (trx) => trx.raw(statement))).rejects.toMatchObject({
      code: '42501',
    });
  }
});

test('a role ends with its transaction, also one that failed', async () => {
  const { app } = database;
  await withTenant(app, mine, (trx) => trx('customers'));
  await expect(withTenant(app, mine, (trx) => trx.raw('select 1 / 0'))).rejects.toThrow('zero');
  await expect(acrossTenants(app, 'reconcile', (trx) => trx.raw('select 1 / 0'))).rejects.toThrow(
    'zero',
  );
  const found = await app.raw('select current_user as who, session_user as login');
  expect(found.rows).toEqual([{ who: 'carillon_app', login: 'carillon_app' }]);
});

/** Does the work as my tenant and takes it back; 'refused' when Postgres refuses it. */
function attempt<T>(work: (trx: Knex.Transaction) => PromiseLike<T>): Promise<T | 'refused'> {
  return takenBack((done) => withTenant(database.app, mine, async (trx) => done(await work(trx))));
}

function attemptFor<T>(
  purpose: string,
  work: (trx: Knex.Transaction) => PromiseLike<T>,
): Promise<T | 'refused'> {
  const known: CrossTenantPurpose = 'reconcile';
  return takenBack((done) =>
    acrossTenants(database.app, known, async (trx) => {
      await trx.raw(`select set_config('carillon.purpose', ?, true)`, [purpose]);
      return done(await work(trx));
    }),
  );
}

class TakenBack<T> extends Error {
  constructor(readonly answer: T) {
    super('taken back');
  }
}

async function takenBack<T>(
  run: (done: (answer: T) => never) => Promise<unknown>,
): Promise<T | 'refused'> {
  try {
    await run((answer) => {
      throw new TakenBack(answer);
    });
  } catch (error) {
    if (error instanceof TakenBack) {
      return error.answer;
    }
    if (typeof error === 'object' && error !== null && Reflect.get(error, 'code') === '42501') {
      return 'refused';
    }
    throw error;
  }
  throw new Error('nothing was taken back');
}

async function sums(): Promise<unknown[]> {
  const found = [];
  for (const table of tables) {
    const sum = await database.db.raw(
      `select count(*), md5(string_agg(t::text, '|' order by t::text)) from ${table} t`,
    );
    found.push([table, sum.rows]);
  }
  return found;
}
