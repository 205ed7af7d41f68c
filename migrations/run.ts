import { loadConfig } from '../lib/config';
import { createDatabase } from '../lib/db';
import { createLogger } from '../lib/logger';
import { migrate } from './index';

async function main(): Promise<void> {
  const config = loadConfig(['DATABASE_URL']);
  const logger = createLogger({ name: 'migrate', level: config.LOG_LEVEL });
  const url = config.MIGRATION_DATABASE_URL ?? config.DATABASE_URL;
  const db = createDatabase({ url, applicationName: 'carillon-migrate' });
  try {
    const names = await migrate(db);
    logger.info({ names }, names.length === 0 ? 'schema is up to date' : 'schema migrated');
  } finally {
    await db.destroy();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
