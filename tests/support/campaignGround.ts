import path from 'node:path';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import type { ActivityDeps } from '../../activities';
import { createCampaignWorkflows } from '../../clients/campaigns';
import { createKeyrings, type Keyrings } from '../../clients/keyrings';
import type { Channel, DoubtPolicy, Schedule } from '../../domain/campaigns/types';
import { createHealthNews } from '../../gateway/healthNews';
import { startLlm } from '../../gateway/start';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { createLogger } from '../../lib/logger';
import { connectTemporal, type Temporal } from '../../lib/temporal';
import { createTrackingTokens, type TrackingTokens } from '../../lib/trackingTokens';
import { withTenant } from '../../models/base';
import { createRun, markWorkflowStarted, type CampaignRun } from '../../models/campaigns/runs';
import { createLlmProviders } from '../../providers/llm';
import { startSandbox, type Sandbox, type SandboxOptions } from '../../sandbox';
import { buildWorkflowBundle } from '../../workers/bundle';
import { startWorker, type RunningWorker } from '../../workers/worker';
import { ensureTestAccount, testSealing, testSenders } from './accounts';
import { testDataConverter } from './dataConverter';
import { testGround } from './ground';
import { createTestNamespace } from './namespace';
import { createTestDatabase } from './postgres';
import { everyone } from './records';
import { temporalAddress } from './temporal';

const trackingSecret = 'a tracking secret of the tests';

/** Everything a campaign needs to be sent for real: database, server, worker, provider sandbox. */
export interface CampaignGround {
  /** The administrator's pool, for tests to look; the product itself has `deps.db`. */
  db: Knex;
  databaseUrl: string;
  namespace: string;
  temporal: Temporal;
  sandbox: Sandbox;
  tokens: TrackingTokens;
  keyrings: Keyrings;
  deps: ActivityDeps;
  /** Starts another worker in this process. */
  startWorker(overrides?: Partial<ActivityDeps>): Promise<RunningWorker>;
  stop(): Promise<void>;
}

export interface GroundOptions {
  sandbox?: Partial<SandboxOptions>;
  deps?: Partial<ActivityDeps>;
  timeoutMs?: number;
  limitPerMinute?: number;
  address?: string;
}

export async function startCampaignGround(options: GroundOptions = {}): Promise<CampaignGround> {
  installRuntime();
  const address = options.address ?? temporalAddress();
  const logger = createLogger({ name: 'test', level: 'fatal' });
  const [database, namespace, sandbox, bundlePath] = await Promise.all([
    createTestDatabase(),
    createTestNamespace(address),
    startSandbox({ port: 0, logger, ...options.sandbox }),
    workflowBundle(),
  ]);
  const { db, app } = database;
  const dataConverter = testDataConverter(app);
  const temporal = connectTemporal(
    { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, TEMPORAL_TLS: false },
    dataConverter,
  );
  await ensureTestAccount(db, {
    baseUrl: sandbox.url,
    ...(options.limitPerMinute === undefined ? {} : { limitPerMinute: options.limitPerMinute }),
  });
  const tokens = createTrackingTokens([{ id: 1, secret: trackingSecret }]);
  const llmProviders = createLlmProviders({ onlyPublic: false });
  const keyrings = createKeyrings(temporal, logger);
  const llm = startLlm(
    {
      db: app,
      sealing: testSealing,
      logger,
      metrics: null,
      onlyPublic: false,
      tell: keyrings,
    },
    { when: 'asked' },
  );
  const deps: ActivityDeps = {
    db: app,
    logger,
    senders: testSenders(app, options.timeoutMs),
    llmProviders,
    llmRetention: { callDays: 400, transitionDays: 90 },
    healthNews: createHealthNews({ logger, metrics: null }),
    ensureKeyrings: (accounts) => keyrings.ensure(accounts),
    llm,
    sealing: testSealing,
    trackingTokens: tokens,
    publicUrl: 'http://carillon.test',
    leaseMs: 60_000,
    sliceMs: 5_000,
    ...createCampaignWorkflows(temporal),
    ...options.deps,
  };
  const connection = await NativeConnection.connect({ address });
  const workers: RunningWorker[] = [];
  return {
    db,
    databaseUrl: database.url,
    namespace,
    temporal,
    sandbox,
    tokens,
    keyrings,
    deps,
    async startWorker(overrides = {}) {
      const worker = await startWorker({
        connection,
        namespace,
        identity: `test-worker-${workers.length}`,
        bundlePath,
        dataConverter,
        deps: { ...deps, ...overrides },
      });
      workers.push(worker);
      return worker;
    },
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await llm.close();
      await keyrings.close();
      await Promise.all(Object.values(llmProviders).map((vendor) => vendor.close()));
      await deps.senders.close();
      await temporal.connection.close();
      await connection.close();
      await sandbox.close();
      await database.drop();
    },
  };
}

/** The workflows, bundled once for the whole run. */
export async function workflowBundle(): Promise<string> {
  const file = path.join(testGround().folder, `workflow-bundle-${process.env.JEST_WORKER_ID}.js`);
  await buildWorkflowBundle(file);
  return file;
}

let isRuntimeInstalled = false;

function installRuntime(): void {
  if (!isRuntimeInstalled) {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    isRuntimeInstalled = true;
  }
}

/** Writes a run and starts its workflow, as the API does. */
export async function startRun(
  ground: CampaignGround,
  tenantId: string,
  campaignId: string,
  run: {
    channel?: Channel;
    schedule: Schedule;
    doubtPolicy?: DoubtPolicy;
    doubtDeadlineMs?: number;
    startWorkflow?: boolean;
  },
): Promise<CampaignRun> {
  const written = await withTenant(ground.db, tenantId, (trx) =>
    createRun(trx, {
      id: newId(),
      tenantId,
      campaignId,
      channel: run.channel ?? 'email',
      contentVersion: 1,
      audience: everyone,
      schedule: run.schedule,
      actor: { kind: 'user', id: null },
      ...(run.doubtPolicy === undefined ? {} : { doubtPolicy: run.doubtPolicy }),
      ...(run.doubtDeadlineMs === undefined ? {} : { doubtDeadlineMs: run.doubtDeadlineMs }),
    }),
  );
  if (run.startWorkflow !== false) {
    await ground.deps.startCampaign({ ...written, name: 'Spring sale' });
    await withTenant(ground.db, tenantId, (trx) => markWorkflowStarted(trx, tenantId, written.id));
  }
  return written;
}
