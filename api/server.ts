import type { Server } from 'node:http';
import { createCampaignWorkflows } from '../clients/campaigns';
import { createDataConverter } from '../clients/dataConverter';
import { createConnectionTests } from '../clients/connectionTests';
import { createTestSends } from '../clients/testSends';
import { loadConfig } from '../lib/config';
import { createDatabase } from '../lib/db';
import { createKeyedHash } from '../lib/keyedHash';
import { createLogger, type Logger } from '../lib/logger';
import { collectProcessMetrics, createMetrics } from '../lib/metrics';
import { exitWithParent } from '../lib/parentWatch';
import { createSealing, parseSealingKeys } from '../lib/sealing';
import { connectTemporal } from '../lib/temporal';
import { createTrackingTokens } from '../lib/trackingTokens';
import { createDataKeys } from '../models/identity/dataKeys';
import { accessTokensOf } from '../models/identity/signingKeys';
import { createQuotaLeases } from '../models/identity/quotaLeases';
import { createApp, type App } from './app';

// The supervisor kills what is still there after ten seconds.
const stopWithinMs = 7_500;

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
  const app = createApp({
    config,
    db,
    logger,
    metrics,
    temporal,
    accessTokens,
    quotas,
    campaigns: createCampaignWorkflows(temporal),
    testSends: createTestSends(temporal),
    sealing,
    connectionTests: createConnectionTests({
      timeoutMs: config.PROVIDER_TIMEOUT_MS,
      onlyPublic: config.NODE_ENV === 'production',
    }),
    addressHash: createKeyedHash(config.TRACKING_SECRET, 'addresses'),
    trackingTokens: createTrackingTokens([{ id: 1, secret: config.TRACKING_SECRET }]),
  });

  // Not waited for any longer than it takes: without a database the process lives and says so.
  await accessTokens.reload().catch((error: unknown) => {
    logger.warn({ err: error }, 'signing keys not read');
  });

  const server = await listen(app, { port: config.API_PORT, host: config.API_HOST });
  logger.info({ address: server.address() }, 'listening');

  const stop = stopOnce(logger, async () => {
    await close(server);
    accessTokens.close();
    await quotas.close();
    await Promise.allSettled([temporal.connection.close(), db.destroy()]);
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  exitWithParent(config.SUPERVISOR_PID, stop);
}

function listen(app: App, at: { port: number; host: string }): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = app.listen(at.port, at.host);
    server.once('error', reject);
    server.once('listening', () => resolve(server));
  });
}

// Takes no new connection, lets running requests finish, and cuts what takes too long.
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A connection kept alive is idle only once its last answer is out.
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    const cut = setTimeout(() => server.closeAllConnections(), stopWithinMs - 1_000);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
  });
}

function stopOnce(logger: Logger, stop: () => Promise<void>): () => void {
  let isStopping = false;
  return () => {
    if (isStopping) {
      return;
    }
    isStopping = true;
    logger.info('stopping');
    setTimeout(() => process.exit(1), stopWithinMs).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'did not stop cleanly');
        process.exit(1);
      },
    );
  };
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
