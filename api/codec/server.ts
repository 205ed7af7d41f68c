import { loadConfig } from '../../lib/config';
import { createDatabase } from '../../lib/db';
import { listen, stopWithProcess } from '../../lib/httpProcess';
import { createKeyedHash } from '../../lib/keyedHash';
import { createLogger } from '../../lib/logger';
import { collectProcessMetrics, createMetrics } from '../../lib/metrics';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { createDataKeys } from '../../models/identity/dataKeys';
import { requireApplicationLogin } from '../../models/operations/applicationLogin';
import { createRateLimits } from '../rateLimits';
import { createCodecApp } from './app';

// A browser asks for many payloads at once, each for a moment.
const poolMax = 8;

async function main(): Promise<void> {
  const config = loadConfig(['DATABASE_URL', 'TRACKING_SECRET', 'SEALING_KEYS']);
  const logger = createLogger({
    name: 'codec',
    level: config.LOG_LEVEL,
    pretty: process.stdout.isTTY,
  });
  const db = createDatabase({
    url: config.DATABASE_URL,
    applicationName: 'carillon-codec',
    poolMax: Math.min(config.DATABASE_POOL_MAX, poolMax),
  });
  await requireApplicationLogin(db, config.NODE_ENV);
  const metrics = createMetrics('codec');
  collectProcessMetrics(metrics);
  const sealing = createSealing(parseSealingKeys(config.SEALING_KEYS));
  const app = createCodecApp({
    config,
    db,
    logger,
    metrics,
    sealing,
    dataKeys: createDataKeys({ db, sealing, logger }),
    addressHash: createKeyedHash(config.TRACKING_SECRET, 'addresses'),
    rateLimits: createRateLimits({ config, db, logger }),
    uiUrl: config.TEMPORAL_UI_URL,
  });
  const server = await listen(app, { port: config.CODEC_PORT, host: config.CODEC_HOST });
  // Whoever sends slowly holds a connection for no longer than this.
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  logger.info({ address: server.address() }, 'listening');
  stopWithProcess({
    server,
    logger,
    parentPid: config.SUPERVISOR_PID,
    release: () => db.destroy(),
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
