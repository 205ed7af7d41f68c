import { createDatabase, type Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { migrate } from '../../migrations';
import { withTenant } from '../../models/base';
import { createCustomer } from '../../models/customers/customers';
import {
  applicationLoginProblem,
  requireApplicationLogin,
} from '../../models/operations/applicationLogin';
import { ensureAppLogin } from '../../workers/launch/appLogin';
import {
  administer,
  appLogin,
  startPostgres,
  withDatabase,
  withLogin,
  type RunningPostgres,
} from '../support/postgres';

// Roles are of a whole server, so one that nobody else has.
let server: RunningPostgres;
let ownerUrl: string;
const pools: Knex[] = [];

const owner = { role: 'shop', password: 'test' };

beforeAll(async () => {
  server = await startPostgres();
  await administer(server.url, `create role ${owner.role} login password 'test'`);
  await administer(server.url, `create database shop owner ${owner.role}`);
  ownerUrl = withLogin(withDatabase(server.url, 'shop'), owner);
});

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.destroy()));
  await server.stop();
});

function open(url: string): Knex {
  const pool = createDatabase({ url, applicationName: 'carillon-test', poolMax: 2 });
  pools.push(pool);
  return pool;
}

test('an owner who may not create roles is told what an administrator has to run, and that suffices', async () => {
  const db = open(ownerUrl);
  const failure: unknown = await migrate(db).catch((error: unknown) => error);
  const message = failure instanceof Error ? failure.message : '';
  expect(message).toContain('create role carillon_tenant nologin;');
  const sql = message.slice(message.indexOf('\n') + 1);
  await administer(server.url, sql);
  const names = await migrate(db);
  expect(names).toContain('0020_walls');
});

test('with one address for everything the walls stand as well', async () => {
  const db = open(ownerUrl);
  const [mine, theirs] = [newId(), newId()];
  await db('tenants').insert([
    { id: mine, name: 'mine' },
    { id: theirs, name: 'theirs' },
  ]);
  for (const tenantId of [mine, theirs]) {
    await withTenant(db, tenantId, (trx) =>
      createCustomer(trx, { tenantId, id: newId() }, { email: 'a@example.com' }),
    );
  }
  const seen = await withTenant(db, mine, (trx) => trx('customers').select('tenant_id'));
  expect(seen).toEqual([{ tenant_id: mine }]);
  await expect(db('customers')).resolves.toHaveLength(2);
});

test('the login of the application is made once, and may be made again', async () => {
  await ensureAppLogin(server.url, appLogin);
  await ensureAppLogin(server.url, appLogin);
  const app = open(withLogin(ownerUrl, appLogin));
  expect(await applicationLoginProblem(app)).toBeNull();
  await expect(requireApplicationLogin(app, 'production')).resolves.toBeUndefined();
  await expect(app('customers')).rejects.toMatchObject({ code: '42501' });
});

describe('production refuses a login', () => {
  const cases: [string, string, string][] = [
    ['that is a superuser', 'create role a_superuser login superuser', 'is a superuser'],
    ['that bypasses the walls', 'create role a_bypass login bypassrls', 'bypasses row-level'],
    [
      'that is a member of the owner',
      `create role a_member login; grant ${owner.role} to a_member`,
      'owns the tables',
    ],
    [
      'that inherits what the roles may do',
      'create role an_heir login inherit; grant carillon_tenant, carillon_platform to an_heir',
      'may touch tables by itself',
    ],
    [
      'that may not become the roles',
      'create role a_stranger login noinherit',
      'may not become carillon_tenant',
    ],
  ];

  test.each(cases)('%s', async (_, sql, reason) => {
    await administer(server.url, sql);
    const [, , role = ''] = sql.split(' ');
    await administer(server.url, `alter role ${role} password 'test'`);
    const db = open(withLogin(ownerUrl, { role, password: 'test' }));
    await expect(requireApplicationLogin(db, 'production')).rejects.toThrow(reason);
    await expect(requireApplicationLogin(db, 'production')).rejects.toThrow(
      'MIGRATION_DATABASE_URL',
    );
    await expect(requireApplicationLogin(db, 'development')).resolves.toBeUndefined();
  });

  test('that owns the tables', async () => {
    await expect(requireApplicationLogin(open(ownerUrl), 'production')).rejects.toThrow(
      'owns the tables',
    );
  });
});
