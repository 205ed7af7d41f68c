import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createCampaignWorkflows, type CampaignWorkflows } from '../../clients/campaigns';
import { createDataConverter } from '../../clients/dataConverter';
import type { AccessTokens } from '../../lib/accessTokens';
import { createDatabase, type Knex } from '../../lib/db';
import { loadConfig } from '../../lib/config';
import { newId } from '../../lib/ids';
import { createLogger } from '../../lib/logger';
import { createSealing, parseSealingKeys, type Sealing } from '../../lib/sealing';
import { connectTemporal, type Temporal } from '../../lib/temporal';
import { createDataKeys } from '../../models/identity/dataKeys';
import { migrate } from '../../migrations';
import { accessTokensOf } from '../../models/identity/signingKeys';
import { createWebhookKeys } from '../../sandbox/sendgrid/eventPost';
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
import { buildWorkflowBundle } from '../../workers/bundle';
import { freePort } from '../../workers/launch/ports';
import { findTemporalProgram } from '../../workers/launch/temporalProgram';
import { OurProcess } from './ourProcess';

/** Carillon as real processes, each of which may be killed or frozen while the others go on. */
export interface ProcessGround {
  folder: string;
  postgres: RunningPostgres;
  temporalServer: RunningTemporal;
  sandbox: OurProcess;
  sandboxUrl: string;
  smtpPort: number;
  /** The account that the sandbox's WhatsApp number reports to. */
  metaAccountId: string;
  /** Opens accounts as the processes do. */
  sealing: Sealing;
  /** The sandbox's own record of what it accepted. */
  journalFile: string;
  api: OurProcess;
  apiUrl: string;
  workers: OurProcess[];
  db: Knex;
  temporal: Temporal;
  /** Issues tokens that the API takes. */
  accessTokens: AccessTokens;
  campaigns: CampaignWorkflows;
  /** One more process of this installation that differs in something; to be started by the caller. */
  another(part: AnotherPart): Promise<{ process: OurProcess; url: string }>;
  stop(): Promise<void>;
}

export interface AnotherPart {
  name: string;
  script: string;
  flags?: string[];
  /** The variable by which it is told its port. */
  portVariable: 'API_PORT' | 'WORKER_PORT';
  environment: Record<string, string>;
}

export interface GroundOptions {
  workers: number;
  /** Leaves the workers to be started one by one. */
  areWorkersIdle?: boolean;
  /** The same of the API. */
  isApiIdle?: boolean;
  /** As SEALING_KEYS takes them; one that is made up when not given. */
  sealingKeys?: string;
  leaseMs: number;
  providerTimeoutMs: number;
  sliceMs: number;
  /** Set: API and workers come back so long after they ended. */
  restartAfterMs?: number;
  /** Makes the simulated recipients repeatable. */
  seed?: string;
  /** Keeps the folder, with every log in it, when all is over. */
  keep?: boolean;
  /** Variables of the API and the workers besides those of the ground, or in their place. */
  environment?: Readonly<Record<string, string>>;
}

const database = 'carillon';
const secret = 'a secret of these processes that is long enough';

/** Starts everything on ports and in a folder of its own; resolves when all parts are ready. */
export async function startProcessGround(options: GroundOptions): Promise<ProcessGround> {
  const folder = mkdtempSync(path.join(tmpdir(), 'carillon-processes-'));
  const config = loadConfig();
  const program = await findTemporalProgram({
    givenPath: config.TEMPORAL_CLI_PATH,
    cacheDir: config.CARILLON_CACHE_DIR,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  mkdirSync(path.join(folder, 'temporal'));
  const bundle = path.join(folder, 'workflow-bundle.js');
  const [postgres, temporalServer] = await Promise.all([
    startPostgres({ dir: path.join(folder, 'postgres') }),
    startTemporal({ dir: path.join(folder, 'temporal'), program }),
    buildWorkflowBundle(bundle),
  ]);
  await administer(postgres.url, `create database ${database}`);
  const adminUrl = withDatabase(postgres.url, database);
  const db = createDatabase({ url: adminUrl, applicationName: 'carillon-observer' });
  await migrate(db);
  await ensureAppLogin(postgres.url, appLogin);
  const databaseUrl = withLogin(adminUrl, appLogin);

  const [apiPort, sandboxPort, smtpPort] = [await freePort(), await freePort(), await freePort()];
  const metaAccountId = newId();
  const sealingKeys = options.sealingKeys ?? `chaos:${randomBytes(32).toString('base64')}`;
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  const sandboxUrl = `http://127.0.0.1:${sandboxPort}`;
  const keys = createWebhookKeys();
  const keyFile = path.join(folder, 'webhook-key.pem');
  writeFileSync(keyFile, keys.privateKeyPem, { mode: 0o600 });
  const environment = {
    LOG_LEVEL: 'warn',
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporalServer.address,
    TEMPORAL_NAMESPACE: testNamespace,
    PUBLIC_URL: apiUrl,
    TRACKING_SECRET: secret,
    SEALING_KEYS: sealingKeys,
    RATE_LIMIT_API_PER_MIN: '0',
    RATE_LIMIT_UPLOAD_PER_MIN: '0',
    SENDGRID_API_KEY: 'SG.processes',
    SENDGRID_BASE_URL: sandboxUrl,
    SENDGRID_WEBHOOK_PUBLIC_KEY: keys.publicKeyBase64,
    DISPATCH_LEASE_MS: String(options.leaseMs),
    PROVIDER_TIMEOUT_MS: String(options.providerTimeoutMs),
    SLICE_MS: String(options.sliceMs),
    WORKFLOW_BUNDLE_PATH: bundle,
    ...options.environment,
  };
  const part = (name: string) => ({
    name,
    logFile: path.join(folder, `${name}.log`),
    ...(options.restartAfterMs === undefined ? {} : { restartAfterMs: options.restartAfterMs }),
  });
  const sandbox = new OurProcess({
    ...part('sandbox'),
    script: 'sandbox/main',
    flags: [
      `--port=${sandboxPort}`,
      `--smtp-port=${smtpPort}`,
      `--meta-webhook-url=${apiUrl}/webhooks/meta/${metaAccountId}`,
      `--data-dir=${path.join(folder, 'sandbox')}`,
      `--webhook-url=${apiUrl}/webhooks/sendgrid`,
      `--webhook-key-file=${keyFile}`,
      `--parent-pid=${process.pid}`,
      ...(options.seed === undefined ? [] : [`--seed=${options.seed}`]),
    ],
    environment: {},
    readyUrl: `${sandboxUrl}/health`,
  });
  const api = new OurProcess({
    ...part('api'),
    script: 'api/server',
    environment: { ...environment, API_PORT: String(apiPort) },
    readyUrl: `${apiUrl}/health`,
  });
  const workers: OurProcess[] = [];
  const others: OurProcess[] = [];
  for (let index = 0; index < options.workers; index += 1) {
    const port = await freePort();
    workers.push(
      new OurProcess({
        ...part(`worker-${index}`),
        script: 'workers/main',
        environment: { ...environment, WORKER_PORT: String(port) },
        readyUrl: `http://127.0.0.1:${port}/health`,
      }),
    );
  }
  const sealing = createSealing(parseSealingKeys(sealingKeys));
  const temporal = connectTemporal(
    {
      TEMPORAL_ADDRESS: temporalServer.address,
      TEMPORAL_NAMESPACE: testNamespace,
      TEMPORAL_TLS: false,
    },
    createDataConverter(
      createDataKeys({
        db,
        sealing,
        logger: createLogger({ name: 'bench', level: 'warn' }),
      }),
    ),
  );
  const accessTokens = accessTokensOf(db, sealing);
  await accessTokens.reload();
  const ground: ProcessGround = {
    folder,
    postgres,
    temporalServer,
    sandbox,
    sandboxUrl,
    smtpPort,
    metaAccountId,
    sealing,
    journalFile: path.join(folder, 'sandbox', 'requests.jsonl'),
    api,
    apiUrl,
    workers,
    db,
    temporal,
    accessTokens,
    campaigns: createCampaignWorkflows(temporal),
    async another({ name, script, flags = [], portVariable, environment: own }) {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const more = new OurProcess({
        ...part(name),
        script,
        flags,
        environment: { ...environment, [portVariable]: String(port), ...own },
        readyUrl: `${url}/health`,
      });
      others.push(more);
      return { process: more, url };
    },
    async stop() {
      await Promise.all([...others, ...workers, api, sandbox].map((each) => each.stop()));
      await temporal.connection.close();
      accessTokens.close();
      await db.destroy();
      await Promise.all([temporalServer.stop(), postgres.stop()]);
      if (options.keep !== true) {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
  try {
    const parts = [
      sandbox,
      ...(options.isApiIdle === true ? [] : [api]),
      ...(options.areWorkersIdle === true ? [] : workers),
    ];
    await Promise.all(parts.map((each) => each.start()));
  } catch (error) {
    await ground.stop();
    throw error;
  }
  return ground;
}
