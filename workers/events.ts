import Table from 'cli-table3';
import { loadConfig } from '../lib/config';
import { createDatabase, type Knex } from '../lib/db';
import { acrossTenants } from '../models/base';
import { listSetAside, retrySetAside } from '../models/messages/setAside';

const usage = 'npm run events -- list | retry [reason]\n';

/** What an operator does about events that were set aside: looks, and lines them up again. */
async function main([command, reason, ...rest]: string[]): Promise<void> {
  const isKnown = command === 'list' ? reason === undefined : command === 'retry';
  if (!isKnown || rest.length > 0) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  const { DATABASE_URL } = loadConfig(['DATABASE_URL']);
  const db = createDatabase({ url: DATABASE_URL, applicationName: 'carillon-events' });
  try {
    process.stdout.write(command === 'list' ? await list(db) : await retry(db, reason ?? null));
  } finally {
    await db.destroy();
  }
}

async function list(db: Knex): Promise<string> {
  const reasons = await acrossTenants(db, 'eventApply', listSetAside);
  if (reasons.length === 0) {
    return 'No event is set aside.\n';
  }
  const table = new Table({
    head: ['reason', 'events', 'first received', 'last received'],
    style: { head: [], border: [] },
  });
  for (const each of reasons) {
    table.push([
      each.reason,
      each.events,
      each.firstReceivedAt.toISOString(),
      each.lastReceivedAt.toISOString(),
    ]);
  }
  return `${table.toString()}\n`;
}

async function retry(db: Knex, reason: string | null): Promise<string> {
  const events = await acrossTenants(db, 'eventApply', (trx) => retrySetAside(trx, reason));
  return `${events} events wait to be applied again.\n`;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
