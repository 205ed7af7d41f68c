import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { createDataConverter } from '../../clients/dataConverter';
import { childEnvironment, loadConfig } from '../../lib/config';
import { createDatabase, type Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { connectTemporal, type Temporal } from '../../lib/temporal';
import { migrate } from '../../migrations';
import { createDataKeys } from '../../models/identity/dataKeys';
import {
  administer,
  appLogin,
  startPostgres,
  withDatabase,
  withLogin,
  type RunningPostgres,
} from '../../tests/support/postgres';
import { ensureAppLogin } from '../../workers/launch/appLogin';
import { startTemporal, testNamespace, type RunningTemporal } from '../../tests/support/temporal';
import { workerNodeFlags } from '../../workers/launch/ourScript';
import { isOk } from '../../workers/launch/parts';
import { freePort } from '../../workers/launch/ports';
import { findTemporalProgram } from '../../workers/launch/temporalProgram';
import { buildForBench, bundleFile } from './build';
import { apiKey } from './content';

/** Servers of the benchmark's own, as `npm start` sets them up, and the compiled product. */
export interface BenchGround {
  folder: string;
  dist: string;
  postgres: RunningPostgres;
  /** The administrator's: for bare loops and looking. */
  databaseUrl: string;
  /** What the product is given. */
  appUrl: string;
  db: Knex;
  temporalServer: RunningTemporal;
  temporal: Temporal;
  sandbox: BenchProcess;
  sandboxUrl: string;
  /** `flags` are the worker's own, such as the queues it serves. */
  startWorkers(count: number, flags?: string[]): Promise<BenchProcess[]>;
  stop(): Promise<void>;
}

export interface BenchProcess {
  child: ChildProcess;
  pid: number;
  /** Asks it to end and resolves when it has. */
  stop(): Promise<void>;
}

const database = 'carillon';
export const trackingSecret = 'a secret of the benchmark that is long enough';
export const sealingKeys = `bench:${Buffer.alloc(32, 'bench').toString('base64')}`;
export const publicUrl = 'https://mail.shop.example';

/**
 * Starts everything on free ports and in a folder of its own. With `profileDir`, workers write their
 * CPU profiles there when they stop, and Postgres keeps count of its statements. `worker` is the
 * program of a worker process; the benchmark's own, whose waves are all due at once, when not given.
 */
export async function startGround(
  profileDir: string | undefined,
  options: { worker?: string } = {},
): Promise<BenchGround> {
  const config = loadConfig();
  const folder = mkdtempSync(path.join(tmpdir(), 'carillon-bench-'));
  const program = await findTemporalProgram({
    givenPath: config.TEMPORAL_CLI_PATH,
    cacheDir: config.CARILLON_CACHE_DIR,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  mkdirSync(path.join(folder, 'temporal'));
  const [dist, postgres, temporalServer] = await Promise.all([
    buildForBench(folder),
    startPostgres({
      dir: path.join(folder, 'postgres'),
      ...(profileDir === undefined ? {} : { settings: countedStatements }),
    }),
    startTemporal({ dir: path.join(folder, 'temporal'), program }),
  ]);
  await administer(postgres.url, `create database ${database}`);
  const databaseUrl = withDatabase(postgres.url, database);
  const db = createDatabase({ url: databaseUrl, applicationName: 'carillon-bench' });
  await migrate(db);
  await ensureAppLogin(postgres.url, appLogin);
  const appUrl = withLogin(databaseUrl, appLogin);
  const temporal = connectTemporal(
    {
      TEMPORAL_ADDRESS: temporalServer.address,
      TEMPORAL_NAMESPACE: testNamespace,
      TEMPORAL_TLS: false,
    },
    createDataConverter(
      createDataKeys({
        db,
        sealing: createSealing(parseSealingKeys(sealingKeys)),
        logger: createLogger({ name: 'bench', level: 'warn' }),
      }),
    ),
  );
  const { process: sandbox, url: sandboxUrl } = await startSandbox(dist);
  const startWorker = async (flags: string[]) => {
    const port = await freePort();
    return startProcess(
      [
        ...workerNodeFlags,
        ...(profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]),
        path.join(dist, options.worker ?? 'bench/worker.js'),
        ...flags,
      ],
      {
        LOG_LEVEL: 'warn',
        DATABASE_URL: appUrl,
        TEMPORAL_ADDRESS: temporalServer.address,
        TEMPORAL_NAMESPACE: testNamespace,
        PUBLIC_URL: publicUrl,
        TRACKING_SECRET: trackingSecret,
        SEALING_KEYS: sealingKeys,
        SENDGRID_API_KEY: apiKey,
        SENDGRID_BASE_URL: sandboxUrl,
        BULK_EMAIL_RATE_LIMIT_PER_MIN: '0',
        WORKER_PORT: String(port),
        WORKFLOW_BUNDLE_PATH: bundleFile(folder),
        SUPERVISOR_PID: String(process.pid),
      },
      `http://127.0.0.1:${port}/ready`,
    );
  };
  return {
    folder,
    dist,
    postgres,
    databaseUrl,
    appUrl,
    db,
    temporalServer,
    temporal,
    sandbox,
    sandboxUrl,
    startWorkers: (count, flags = []) =>
      Promise.all(Array.from({ length: count }, () => startWorker(flags))),
    async stop() {
      await sandbox.stop();
      await temporal.connection.close();
      await db.destroy();
      await Promise.all([temporalServer.stop(), postgres.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a sandbox that takes everything and keeps nothing but its count. */
export async function startSandbox(dist: string): Promise<{ process: BenchProcess; url: string }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const sandbox = await startProcess(
    [
      path.join(dist, 'sandbox/main.js'),
      `--port=${port}`,
      '--mode=sink',
      `--parent-pid=${process.pid}`,
    ],
    {},
    `${url}/health`,
  );
  return { process: sandbox, url };
}

const countedStatements = { shared_preload_libraries: 'pg_stat_statements' };

const readyTimeoutMs = 60_000;

/** Starts one of our compiled scripts; with `readyUrl`, resolves once that answers. */
export async function startProcess(
  args: string[],
  environment: Record<string, string>,
  readyUrl: string | null,
): Promise<BenchProcess> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: childEnvironment({ NODE_ENV: 'development', ...environment }),
  });
  const gone = once(child, 'exit');
  const deadline = Date.now() + readyTimeoutMs;
  while (readyUrl !== null && !(await isOk(readyUrl))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${path.basename(args.at(-1) ?? '')} did not get ready`);
    }
    await wait(50);
  }
  return {
    child,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}
