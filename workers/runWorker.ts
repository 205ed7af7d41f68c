import { hostname } from 'node:os';
import { NativeConnection, Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import type { ActivityDeps } from '../activities';
import { createAccountSenders } from '../activities/messages/accountSenders';
import { createCampaignWorkflows } from '../clients/campaigns';
import { createKeyrings } from '../clients/keyrings';
import { createDataConverter } from '../clients/dataConverter';
import { createHealthNews } from '../gateway/healthNews';
import { startLlm } from '../gateway/start';
import { loadConfig } from '../lib/config';
import { createDatabase } from '../lib/db';
import { createLogger } from '../lib/logger';
import { collectProcessMetrics, createMetrics } from '../lib/metrics';
import { exitWithParent } from '../lib/parentWatch';
import { createSealing, parseSealingKeys } from '../lib/sealing';
import { connectTemporal } from '../lib/temporal';
import { publicUrl } from '../lib/publicUrl';
import { createTrackingTokens } from '../lib/trackingTokens';
import { createDataKeys } from '../models/identity/dataKeys';
import { ensurePlatformAccount } from '../models/messages/platformAccounts';
import { requireApplicationLogin } from '../models/operations/applicationLogin';
import { createLlmProviders } from '../providers/llm';
import { takeInKeys } from './configuredKeys';
import { collectDoubtMetrics } from './doubtMetrics';
import { collectEventMetrics } from './eventMetrics';
import { setPriorityFor } from './priority';
import type { QueueName } from './queueChoice';
import { ensureStandingWork } from './schedules';
import { watchSealedValues } from './sealedValues';
import { collectSealingMetrics } from './sealingMetrics';
import { serveHealth, startWorker } from './worker';

// The lanes of transactional messages ask for little at a time, each for a moment.
const poolOfTransactional = 8;

/**
 * One worker process from its environment to its end: serves its queues and answers /health, /ready
 * and /metrics until SIGTERM or SIGINT, then drains. Only a benchmark replaces something.
 */
export async function runWorker(options: {
  queues: readonly QueueName[];
  replace?: Pick<ActivityDeps, 'planner' | 'writeCall'>;
}): Promise<void> {
  const { queues, replace = {} } = options;
  const isBulk = queues.some((name) => name !== 'transactional');
  const config = loadConfig([
    'DATABASE_URL',
    'TEMPORAL_ADDRESS',
    'TRACKING_SECRET',
    'SEALING_KEYS',
    'SENDGRID_API_KEY',
  ]);
  const logger = createLogger({ name: 'worker', level: config.LOG_LEVEL });
  setPriorityFor(queues, logger);
  Runtime.install({
    logger: {
      log: (level, message) => logger.info({ level }, message),
      trace: (message) => logger.trace(message),
      debug: (message) => logger.debug(message),
      info: (message) => logger.debug(message),
      // That a queue has no activities or no workflows is how the queues are cut.
      warn: (message, meta) =>
        logger[message.includes('registered, not polling') ? 'debug' : 'warn'](meta ?? {}, message),
      error: (message, meta) => logger.error(meta ?? {}, message),
    },
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} },
    },
  });
  const db = createDatabase({
    url: config.DATABASE_URL,
    applicationName: isBulk ? 'carillon-worker' : 'carillon-transactional',
    poolMax: isBulk
      ? config.DATABASE_POOL_MAX
      : Math.min(config.DATABASE_POOL_MAX, poolOfTransactional),
  });
  await requireApplicationLogin(db, config.NODE_ENV);
  const sealing = createSealing(parseSealingKeys(config.SEALING_KEYS));
  await takeInKeys(db, sealing, config);
  await ensurePlatformAccount(db, sealing, {
    id: 'sendgrid',
    channel: 'email',
    vendor: 'sendgrid',
    name: 'SendGrid',
    settings: {
      region: 'global',
      ...(config.SENDGRID_BASE_URL === undefined ? {} : { baseUrl: config.SENDGRID_BASE_URL }),
      activityLookUp: config.SENDGRID_ACTIVITY_LOOK_UP,
    },
    credentials: { apiKey: config.SENDGRID_API_KEY },
    senders: [],
    active: true,
    limitPerMinute: config.BULK_EMAIL_RATE_LIMIT_PER_MIN,
  });
  const senders = createAccountSenders({
    db,
    sealing,
    timeoutMs: config.PROVIDER_TIMEOUT_MS,
    publicUrl: publicUrl(config),
    onlyPublic: config.NODE_ENV === 'production',
  });
  const llmProviders = createLlmProviders({ onlyPublic: config.NODE_ENV === 'production' });
  const dataKeys = createDataKeys({ db, sealing, logger });
  await dataKeys.prepare();
  const dataConverter = createDataConverter(dataKeys);
  const temporal = connectTemporal(config, dataConverter);
  const keyrings = createKeyrings(temporal, logger);
  const connection = await NativeConnection.connect({
    address: config.TEMPORAL_ADDRESS,
    ...(config.TEMPORAL_TLS ? { tls: true } : {}),
    ...(config.TEMPORAL_API_KEY === undefined ? {} : { apiKey: config.TEMPORAL_API_KEY }),
  });
  const metrics = createMetrics('worker');
  const llm = startLlm(
    {
      db,
      sealing,
      logger,
      metrics,
      onlyPublic: config.NODE_ENV === 'production',
      tell: keyrings,
    },
    { when: 'asked' },
  );
  const worker = await startWorker({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    queues,
    dataConverter,
    identity: `worker@${hostname()}:${process.pid}`,
    ...(config.WORKFLOW_BUNDLE_PATH === undefined
      ? {}
      : { bundlePath: config.WORKFLOW_BUNDLE_PATH }),
    deps: {
      db,
      logger,
      senders,
      llmProviders,
      healthNews: createHealthNews({ logger, metrics }),
      ensureKeyrings: (accounts) => keyrings.ensure(accounts),
      llm,
      llmRetention: {
        callDays: config.LLM_CALL_DAYS,
        transitionDays: config.LLM_TRANSITION_DAYS,
      },
      sealing,
      trackingTokens: createTrackingTokens([{ id: 1, secret: config.TRACKING_SECRET }]),
      publicUrl: publicUrl(config),
      leaseMs: config.DISPATCH_LEASE_MS,
      sliceMs: config.SLICE_MS,
      ...createCampaignWorkflows(temporal),
      ...replace,
    },
  });
  await ensureStandingWork(temporal.client);
  await watchSealedValues({ db, client: temporal.client, sealing, logger });

  collectProcessMetrics(metrics);
  collectEventMetrics(metrics, db);
  collectDoubtMetrics(metrics, db);
  collectSealingMetrics(metrics, db);
  const health = serveHealth({
    host: config.WORKER_HOST,
    port: config.WORKER_PORT,
    logger,
    check: async () => {
      await db.raw('select 1');
      await temporal.check(2_000);
    },
    metrics: () => metrics.metrics(),
  });

  const stop = () => {
    logger.info('stopping: no new work, calls that left are settled');
    health.close();
    void worker.stop();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  exitWithParent(config.SUPERVISOR_PID, stop);
  logger.info({ port: config.WORKER_PORT }, 'worker ready');
  await worker.finished;
  await llm.close();
  await keyrings.close();
  await Promise.all(Object.values(llmProviders).map((vendor) => vendor.close()));
  await senders.close();
  await temporal.connection.close();
  await connection.close();
  await db.destroy();
  logger.info('worker stopped');
}
