import { setTimeout as wait } from 'node:timers/promises';
import Table from 'cli-table3';
import { createDataConverter } from '../clients/dataConverter';
import { loadConfig } from '../lib/config';
import { createDatabase, type Knex } from '../lib/db';
import { createLogger } from '../lib/logger';
import { createSealing, parseSealingKeys } from '../lib/sealing';
import { connectTemporal } from '../lib/temporal';
import { acrossTenants } from '../models/base';
import { createDataKeys } from '../models/identity/dataKeys';
import { countSealed, introduceKey, type SealedCount } from '../models/identity/resealing';
import { sealedColumns } from '../models/identity/sealedPlaces';
import type { Resealed } from '../workflows/identity/resealing';
import { addSealingKey } from './launch/secrets';
import { startResealing } from './schedules';

const usage = `npm run reseal               seal everything again with the first key of SEALING_KEYS
npm run reseal -- --new-key  give the installation of npm start a new key, for its next start
`;
const tell = (text: string) => process.stdout.write(`${text}\n`);

/** What an operator does about sealing keys: brings everything under the first, and sees what is left. */
async function main(args: string[]): Promise<void> {
  if (args.length === 0) {
    await reseal();
  } else if (args.length === 1 && args[0] === '--new-key') {
    newKey();
  } else {
    process.stderr.write(usage);
    process.exitCode = 2;
  }
}

function newKey(): void {
  const { SEALING_KEYS, CARILLON_DATA_DIR } = loadConfig();
  if (SEALING_KEYS !== undefined) {
    throw new Error('SEALING_KEYS is set, so npm start takes its keys from there: add one there.');
  }
  const id = addSealingKey(CARILLON_DATA_DIR);
  tell(`Stop npm start and start it again: it seals with ${id} then, and seals the rest again.`);
}

async function reseal(): Promise<void> {
  const config = loadConfig(['DATABASE_URL', 'TEMPORAL_ADDRESS', 'SEALING_KEYS']);
  const sealing = createSealing(parseSealingKeys(config.SEALING_KEYS));
  const { keyId } = sealing;
  const db = createDatabase({ url: config.DATABASE_URL, applicationName: 'carillon-reseal' });
  const logger = createLogger({ name: 'reseal', level: config.LOG_LEVEL });
  const dataKeys = createDataKeys({ db, sealing, logger });
  const temporal = connectTemporal(config, createDataConverter(dataKeys));
  try {
    await acrossTenants(db, 'resealing', (trx) => introduceKey(trx, keyId, { chosen: true }));
    const handle = await startResealing(temporal.client, keyId);
    const result = await followed(db, keyId, handle.result());
    const counts = await acrossTenants(db, 'resealing', countSealed);
    tell(report(result, counts));
    process.exitCode = isDone(result) ? 0 : 1;
  } finally {
    await temporal.connection.close();
    await db.destroy();
  }
}

const lookEveryMs = 1_000;
const patience = 20;

/** Prints how far it is until it has ended. */
async function followed(db: Knex, keyId: string, ended: Promise<Resealed>): Promise<Resealed> {
  let told = '';
  let looksAlike = 0;
  for (;;) {
    const counts = await acrossTenants(db, 'resealing', countSealed);
    const values = sum(counts);
    const text = `${values - sum(others(counts, keyId))} of ${values} values are sealed with ${keyId}`;
    looksAlike = text === told ? looksAlike + 1 : 0;
    if (looksAlike === 0) {
      tell(text);
    } else if (looksAlike === patience) {
      tell('Nothing has moved for a while: does a worker run, and has it this key?');
    }
    told = text;
    const result = await Promise.race([ended, wait(lookEveryMs, null)]);
    if (result !== null) {
      return result;
    }
  }
}

function report(result: Resealed, counts: readonly SealedCount[]): string {
  const table = new Table({ head: ['key', 'column', 'values'], style: { head: [], border: [] } });
  for (const { keyId, name, values } of counts) {
    const { table: of, column } = sealedColumns[name];
    table.push([keyId, `${of}.${column}`, values]);
  }
  const unreadable = result.unreadableValues.map(
    ({ table: of, id, failure }) => `  ${of} ${id}: ${failure}`,
  );
  return [
    table.toString(),
    `${result.resealed} values were sealed again with ${result.keyId}.`,
    ...(result.unreadable === 0 ? [] : [`${result.unreadable} do not open:`, ...unreadable]),
    verdict(result),
  ].join('\n');
}

function verdict(result: Resealed): string {
  if (result.supersededBy !== null) {
    return `It ended because ${result.supersededBy} was made the newer key meanwhile.`;
  }
  return isDone(result)
    ? `Nothing names another key: all but ${result.keyId} may be dropped, once it is the first key of every process.`
    : 'Other keys are still named: keep them. Values that go on coming are sealed by a process that has another key first.';
}

function isDone({ leftOver, unreadable }: Resealed): boolean {
  return leftOver === 0 && unreadable === 0;
}

function others(counts: readonly SealedCount[], keyId: string): SealedCount[] {
  return counts.filter((count) => count.keyId !== keyId);
}

function sum(counts: readonly SealedCount[]): number {
  return counts.reduce((total, { values }) => total + values, 0);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
