import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDatabase } from '../../lib/db';
import { loadConfig } from '../../lib/config';
import { migrate } from '../../migrations';
import { findTemporalProgram } from '../../workers/launch/temporalProgram';
import { publishTestGround } from './ground';
import { keepForTeardown } from './globalTeardown';
import { ensureAppLogin } from '../../workers/launch/appLogin';
import { administer, appLogin, startPostgres, withDatabase } from './postgres';
import { startTemporal } from './temporal';

const templateDatabase = 'carillon_template';

/** One Postgres with a migrated template and one Temporal server for the whole run. */
// oxlint-disable-next-line import/no-default-export -- Jest asks for a default export.
export default async function globalSetup(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'carillon-test-'));
  const [postgres, temporal] = await Promise.all([
    startTemplate(folder),
    startSharedTemporal(folder),
  ]);
  keepForTeardown({ folder, servers: [postgres, temporal.server] });
  publishTestGround({
    postgresUrl: postgres.url,
    templateDatabase,
    // Given, the tests run on that server: so the production one is tried.
    temporalAddress: loadConfig([]).TEMPORAL_ADDRESS ?? temporal.server.address,
    temporalProgram: temporal.program,
    folder,
  });
}

async function startTemplate(folder: string) {
  const postgres = await startPostgres({ dir: path.join(folder, 'postgres'), settings: forSpeed });
  await administer(postgres.url, `create database ${templateDatabase}`);
  const db = createDatabase({
    url: withDatabase(postgres.url, templateDatabase),
    applicationName: 'carillon-test-template',
  });
  await migrate(db);
  // A database with open connections cannot be a template.
  await db.destroy();
  await ensureAppLogin(postgres.url, appLogin);
  return postgres;
}

async function startSharedTemporal(folder: string) {
  const config = loadConfig([]);
  const program = await findTemporalProgram({
    givenPath: config.TEMPORAL_CLI_PATH,
    cacheDir: config.CARILLON_CACHE_DIR,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  return { program, server: await startTemporal({ dir: folder, program, inMemory: true }) };
}

// Nothing here has to survive a power cut.
const forSpeed: Record<string, string> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '300',
};
