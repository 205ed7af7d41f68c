import path from 'node:path';
import { Client } from 'pg';
import { createDatabase, type Knex } from '../../lib/db';
import { newId, newRandomId } from '../../lib/ids';
import {
  adminRole,
  postgresOrder,
  postgresUrl,
  preparePostgres,
} from '../../workers/launch/embeddedPostgres';
import { freePort } from '../../workers/launch/ports';
import { startGuarded, type GuardedServer } from './guardedServer';
import { temporaryFolder, testGround } from './ground';

export interface RunningPostgres extends GuardedServer {
  /** The administrator's address of the database `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly dir: string;
}

/** Starts a Postgres of its own, for tests that stop or kill it. Without `dir`, on a fresh folder. */
export async function startPostgres(
  options: { dir?: string; port?: number; settings?: Record<string, string> } = {},
): Promise<RunningPostgres> {
  const dir = options.dir ?? path.join(temporaryFolder('postgres'), 'data');
  const port = options.port ?? (await freePort());
  const place = { dir, port, adminPassword: 'test', settings: options.settings };
  const url = postgresUrl({ port, role: adminRole, password: 'test', database: 'postgres' });
  await preparePostgres(place);
  const server = await startGuarded({
    name: 'Postgres',
    order: await postgresOrder(place),
    prepare: () => preparePostgres(place),
    isReady: () => answers(url),
  });
  // Assigning onto the server keeps its living `pid`.
  return Object.assign(server, { url, port, dir });
}

export interface TestDatabase {
  /** The administrator's pool, for tests to look and to write what the product would not. */
  db: Knex;
  /** The product's pool, with the rights it has in production: outside its transactions none. */
  app: Knex;
  /** The product's address. */
  url: string;
  /** The address of the owner of the tables. */
  adminUrl: string;
  /** Closes the pool and drops the database; call it once, at the end. */
  drop(): Promise<void>;
}

const administrators = new WeakMap<Knex, Knex>();

/** The administrator's pool beside one of the product's; any other pool is its own. */
export function adminOf(db: Knex): Knex {
  return administrators.get(db) ?? db;
}

/** A migrated, empty database of its own, cloned from the template: one a test file. */
export async function createTestDatabase(
  options: { poolMax?: number } = {},
): Promise<TestDatabase> {
  const { postgresUrl: adminUrl, templateDatabase } = testGround();
  const name = `test_${newRandomId().replaceAll('-', '')}`;
  await administer(adminUrl, `create database ${name} template ${templateDatabase}`);
  const url = withLogin(withDatabase(adminUrl, name), appLogin);
  const db = createDatabase({
    url: withDatabase(adminUrl, name),
    applicationName: `carillon-test-admin-${newId()}`,
    poolMax: 5,
  });
  const app = createDatabase({
    url,
    applicationName: `carillon-test-${newId()}`,
    poolMax: options.poolMax ?? 10,
  });
  administrators.set(app, db);
  return {
    db,
    app,
    url,
    adminUrl: withDatabase(adminUrl, name),
    async drop() {
      await Promise.all([db.destroy(), app.destroy()]);
      await administer(adminUrl, `drop database ${name} with (force)`);
    },
  };
}

/** Runs one statement as the administrator, outside any test database. */
export async function administer(adminUrl: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Whom the product logs in as; made once for the cluster. */
export const appLogin = { role: 'carillon_app', password: 'test' };

/** The same database, another login. */
export function withLogin(url: string, login: { role: string; password: string }): string {
  const changed = new URL(url);
  changed.username = login.role;
  changed.password = login.password;
  return changed.href;
}

/** The same server, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
