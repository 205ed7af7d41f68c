import { createCampaignWorkflows } from '../clients/campaigns';
import { createDataConverter } from '../clients/dataConverter';
import { createConnectionTests } from '../clients/connectionTests';
import { createKeyrings } from '../clients/keyrings';
import { createContentGenerations } from '../clients/contentGenerations';
import { createTestSends } from '../clients/testSends';
import { startLlm } from '../gateway/start';
import { loadConfig } from '../lib/config';
import { createDatabase } from '../lib/db';
import { createKeyedHash } from '../lib/keyedHash';
import { listen, stopWithProcess } from '../lib/httpProcess';
import { createLogger } from '../lib/logger';
import { collectProcessMetrics, createMetrics } from '../lib/metrics';
import { createSealing, parseSealingKeys } from '../lib/sealing';
import { connectTemporal } from '../lib/temporal';
import { createTrackingTokens } from '../lib/trackingTokens';
import { createDataKeys } from '../models/identity/dataKeys';
import { accessTokensOf } from '../models/identity/signingKeys';
import { createQuotaLeases } from '../models/identity/quotaLeases';
import { requireApplicationLogin } from '../models/operations/applicationLogin';
import { createApp } from './app';
import { connectionLimits, createHttpServer } from './httpServer';

async function main(): Promise<void> {
  const config = loadConfig([
    'DATABASE_URL',
    'TEMPORAL_ADDRESS',
    'TRACKING_SECRET',
    'SEALING_KEYS',
  ]);
  const logger = createLogger({
    name: 'api',
    level: config.LOG_LEVEL,
    pretty: process.stdout.isTTY,
  });
  const db = createDatabase({
    url: config.DATABASE_URL,
    applicationName: 'carillon-api',
    poolMax: config.DATABASE_POOL_MAX,
  });
  await requireApplicationLogin(db, config.NODE_ENV);
  const metrics = createMetrics('api');
  collectProcessMetrics(metrics);
  const sealing = createSealing(parseSealingKeys(config.SEALING_KEYS));
  const dataConverter = createDataConverter(createDataKeys({ db, sealing, logger }));
  const temporal = connectTemporal(config, dataConverter);
  const accessTokens = accessTokensOf(db, sealing, {
    onError: (error) => logger.warn({ err: error }, 'signing keys not read'),
  });
  const quotas = createQuotaLeases(db, (error) =>
    logger.warn({ err: error }, 'used quota not written'),
  );
  const keyrings = createKeyrings(temporal, logger, { steerMs: 5_000 });
  const llm = startLlm(
    {
      db,
      sealing,
      logger,
      metrics,
      onlyPublic: config.NODE_ENV === 'production',
      tell: keyrings,
    },
    { when: 'now' },
  );
  const app = createApp({
    config,
    db,
    logger,
    metrics,
    temporal,
    accessTokens,
    quotas,
    campaigns: createCampaignWorkflows(temporal),
    keyrings,
    testSends: createTestSends(temporal),
    contentGenerations: createContentGenerations(temporal),
    llm,
    sealing,
    connectionTests: createConnectionTests({
      timeoutMs: config.PROVIDER_TIMEOUT_MS,
      onlyPublic: config.NODE_ENV === 'production',
    }),
    addressHash: createKeyedHash(config.TRACKING_SECRET, 'addresses'),
    refreshHash: createKeyedHash(config.TRACKING_SECRET, 'refresh tokens'),
    trackingTokens: createTrackingTokens([{ id: 1, secret: config.TRACKING_SECRET }]),
  });

  // Not waited for any longer than it takes: without a database the process lives and says so.
  await accessTokens.reload().catch((error: unknown) => {
    logger.warn({ err: error }, 'signing keys not read');
  });

  const maxConnections = config.API_MAX_CONNECTIONS;
  const server = await listen(createHttpServer(app, { ...connectionLimits, maxConnections }), {
    port: config.API_PORT,
    host: config.API_HOST,
  });
  logger.info({ address: server.address() }, 'listening');

  stopWithProcess({
    server,
    logger,
    parentPid: config.SUPERVISOR_PID,
    release: async () => {
      accessTokens.close();
      await Promise.all([quotas.close(), llm.close()]);
      await keyrings.close();
      await Promise.allSettled([temporal.connection.close(), db.destroy()]);
    },
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
