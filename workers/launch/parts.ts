import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { Client } from 'pg';
import { childEnvironment } from '../../lib/config';
import {
  adminRole,
  postgresOrder,
  postgresUrl,
  preparePostgres,
  type PostgresPlace,
} from './embeddedPostgres';
import type { GuardOrder } from './guard';
import { readPid, spawnGuarded } from './guarded';
import { everyQueue, type QueueName } from '../queueChoice';
import { ourScript, workerNodeFlags } from './ourScript';
import type { PartOrder } from './part';
import type { Plan } from './plan';
import { writePrivately, type Secrets } from './secrets';
import {
  isTemporalReady,
  stopLeftoverTemporal,
  temporalOrder,
  type TemporalPlace,
} from './temporalServer';

/** Where SendGrid's events are posted to. */
const webhookPath = '/webhooks/sendgrid';

/** What the sandbox accepts as a key; the real one is told by SENDGRID_API_KEY. */
const sandboxApiKey = 'SG.sandbox.sandbox';

/** Addresses that are known once the servers under us are up. */
export interface Addresses {
  databaseUrl: string;
  temporalAddress: string;
  bundleFile: string;
}

/** Our own Postgres; clears away what a killed run left on its data before each start. */
export function postgresPart(place: PostgresPlace): PartOrder {
  const url = postgresUrl({
    port: place.port,
    role: adminRole,
    password: place.adminPassword,
    database: 'postgres',
  });
  return {
    name: 'postgres',
    launch: async () => {
      await preparePostgres(place);
      return spawnGuarded(await postgresOrder(place));
    },
    isReady: () => answersQueries(url),
    // Recovery after a crash replays the log first.
    readyTimeoutMs: 120_000,
    kill: (child) => killGuarded(child, `${place.dir}.pid`),
  };
}

/** Our own Temporal development server. */
export function temporalPart(place: TemporalPlace): PartOrder {
  const order: GuardOrder = temporalOrder(place);
  return {
    name: 'temporal',
    launch: async () => {
      await stopLeftoverTemporal(place);
      return spawnGuarded(order);
    },
    isReady: () => isTemporalReady(`127.0.0.1:${place.port}`, place.namespace),
    readyTimeoutMs: 60_000,
    isQuietAtEnd: true,
    kill: (child) => killGuarded(child, place.pidFile),
  };
}

/** The stand-in for SendGrid, with its inbox page. */
export function sandboxPart(plan: Plan, secrets: Secrets): PartOrder {
  const keyFile = path.join(plan.dataDir, 'webhook-key.pem');
  const { api, sandbox } = plan.ports;
  const flags = [
    `--port=${sandbox}`,
    '--host=127.0.0.1',
    `--data-dir=${path.join(plan.dataDir, 'sandbox')}`,
    '--mode=inbox',
    `--webhook-url=http://127.0.0.1:${api}${webhookPath}`,
    `--webhook-key-file=${keyFile}`,
    `--parent-pid=${process.pid}`,
    '--engagement',
    '--llm-limits',
  ];
  return {
    name: 'sandbox',
    launch: () => {
      writePrivately(keyFile, secrets.webhookPrivateKey);
      return Promise.resolve(spawnOurs('sandbox/main', { flags, environment: {} }));
    },
    isReady: () => isOk(`http://127.0.0.1:${sandbox}/health`),
    readyTimeoutMs: 60_000,
    kill: killChild,
  };
}

/** The HTTP API. */
export function apiPart(plan: Plan, secrets: Secrets, addresses: Addresses): PartOrder {
  return {
    name: 'api',
    launch: () =>
      Promise.resolve(
        spawnOurs('api/server', { environment: ourEnvironment(plan, secrets, addresses) }),
      ),
    isReady: () => isOk(`http://${reachable(plan.config.API_HOST)}:${plan.ports.api}/ready`),
    readyTimeoutMs: 60_000,
    kill: killChild,
  };
}

/** Where people sign in so that the Temporal UI shows them what is encrypted. */
export function codecPart(plan: Plan, secrets: Secrets, addresses: Addresses): PartOrder {
  return {
    name: 'codec',
    launch: () =>
      Promise.resolve(
        spawnOurs('api/codec/server', { environment: ourEnvironment(plan, secrets, addresses) }),
      ),
    isReady: () => isOk(`http://${reachable(plan.config.CODEC_HOST)}:${plan.ports.codec}/ready`),
    readyTimeoutMs: 60_000,
    kill: killChild,
  };
}

/** One worker process for everything but transactional messages; `index` counts from 0. */
export function workerPart(
  plan: Plan,
  secrets: Secrets,
  addresses: Addresses,
  index: number,
): PartOrder {
  return workerProcess({
    name: plan.ports.workers.length === 1 ? 'worker' : `worker-${index + 1}`,
    port: plan.ports.workers[index] ?? 0,
    queues: everyQueue.filter((name) => name !== 'transactional'),
    plan,
    secrets,
    addresses,
  });
}

/** The process of transactional messages: nothing else may hold it up. */
export function transactionalPart(plan: Plan, secrets: Secrets, addresses: Addresses): PartOrder {
  return workerProcess({
    name: 'transactional',
    port: plan.ports.transactional,
    queues: ['transactional'],
    plan,
    secrets,
    addresses,
  });
}

function workerProcess({
  name,
  port,
  queues,
  plan,
  secrets,
  addresses,
}: {
  name: string;
  port: number;
  queues: readonly QueueName[];
  plan: Plan;
  secrets: Secrets;
  addresses: Addresses;
}): PartOrder {
  return {
    name,
    launch: () =>
      Promise.resolve(
        spawnOurs('workers/main', {
          nodeFlags: workerNodeFlags,
          flags: [`--queues=${queues.join(',')}`],
          environment: {
            ...ourEnvironment(plan, secrets, addresses),
            WORKER_PORT: String(port),
            WORKFLOW_BUNDLE_PATH: addresses.bundleFile,
          },
        }),
      ),
    isReady: () => isOk(`http://${reachable(plan.config.WORKER_HOST)}:${port}/ready`),
    readyTimeoutMs: 90_000,
    kill: killChild,
  };
}

/** Starts one of our own scripts in a process group of its own, its output to be read. */
export function spawnOurs(
  script: string,
  options: {
    nodeFlags?: readonly string[];
    flags?: string[];
    environment: Record<string, string | undefined>;
  },
): ChildProcess {
  const { nodeFlags = [], flags = [] } = options;
  return spawn(process.execPath, [...nodeFlags, ...ourScript(script), ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C on the terminal must not reach it: the supervisor stops its parts in order.
    detached: true,
    env: childEnvironment({ ...options.environment, SUPERVISOR_PID: String(process.pid) }),
  });
}

/** Whether a GET of the address answers 2xx within a second. */
export async function isOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

function ourEnvironment(
  plan: Plan,
  secrets: Secrets,
  addresses: Addresses,
): Record<string, string | undefined> {
  const { config, ports } = plan;
  return {
    DATABASE_URL: addresses.databaseUrl,
    // The owner's address is for migrations alone.
    MIGRATION_DATABASE_URL: undefined,
    TEMPORAL_ADDRESS: addresses.temporalAddress,
    TEMPORAL_UI_URL: temporalUiUrl(plan),
    API_PORT: String(ports.api),
    CODEC_PORT: String(ports.codec),
    PUBLIC_URL: plan.publicUrl,
    TRACKING_SECRET: config.TRACKING_SECRET ?? secrets.trackingSecret,
    SEALING_KEYS: config.SEALING_KEYS ?? secrets.sealingKeys,
    ...(plan.hasSandbox
      ? {
          // The demo writes much at once, and people try things out.
          RATE_LIMIT_AUTH_PER_MIN: String(config.RATE_LIMIT_AUTH_PER_MIN ?? 300),
          RATE_LIMIT_UPLOAD_PER_MIN: String(config.RATE_LIMIT_UPLOAD_PER_MIN ?? 300),
          RATE_LIMIT_API_PER_MIN: String(config.RATE_LIMIT_API_PER_MIN ?? 60_000),
          SENDGRID_API_KEY: sandboxApiKey,
          SENDGRID_BASE_URL: `http://127.0.0.1:${ports.sandbox}`,
          SENDGRID_ACTIVITY_LOOK_UP: 'true',
          SENDGRID_WEBHOOK_PUBLIC_KEY: secrets.webhookPublicKey,
        }
      : {}),
  };
}

/** Where operators look; known for our own server, else told by TEMPORAL_UI_URL. */
export function temporalUiUrl(plan: Plan): string | undefined {
  return (
    plan.config.TEMPORAL_UI_URL ??
    (plan.temporalAddress === undefined ? `http://localhost:${plan.ports.temporalUi}` : undefined)
  );
}

/** Where browsers find the codec server. */
export function codecUrl({ config, ports }: Plan): string {
  return (config.CODEC_URL ?? `http://localhost:${ports.codec}`).replace(/\/+$/, '');
}

async function answersQueries(url: string): Promise<boolean> {
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

// The guard follows its server; killing the guard alone would leave the server behind.
function killGuarded(guard: ChildProcess, pidFile: string): void {
  const pid = readPid(pidFile);
  if (pid === undefined) {
    guard.kill('SIGKILL');
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    guard.kill('SIGKILL');
  }
}

function killChild(child: ChildProcess): void {
  child.kill('SIGKILL');
}

function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
}
