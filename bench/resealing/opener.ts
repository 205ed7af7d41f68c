import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createAccountSenders } from '../../activities/messages/accountSenders';
import { loadConfig } from '../../lib/config';
import { createDatabase, type Knex } from '../../lib/db';
import { exitWithParent } from '../../lib/parentWatch';
import { createSealing, parseSealingKeys, SealingError, type Sealing } from '../../lib/sealing';
import { withTenant } from '../../models/base';
import { openAccount, openCredentials } from '../../models/messages/accountCredentials';
import { ProviderAccount } from '../../models/messages/ProviderAccount';
import { isKeyOf, type SealedAccount } from '../../tests/support/sealedAccounts';

/** What an opener has seen: asked for under /figures. */
export interface OpenerFigures {
  opens: number;
  /** Values that did not open, or opened as another account's. */
  unreadable: number;
  /** What failed for another reason, by its words. */
  failures: string[];
  /** Each account was opened at least once. */
  hasOpenedAll: boolean;
}

interface Order {
  /** Where the accounts are, as JSON. */
  file: string;
  /** Opens a second; 0 opens each account once and for all. */
  rate: number;
}

// A client is kept for each of these, as workers keep them.
const withClients = 50;

/** Opens accounts by the product's own code until it is stopped, as a process with keys of its own. */
async function main(): Promise<void> {
  const order = readOrder(process.argv.slice(2));
  const config = loadConfig(['DATABASE_URL', 'SEALING_KEYS']);
  const sealing = createSealing(parseSealingKeys(config.SEALING_KEYS));
  const db = createDatabase({ url: config.DATABASE_URL, applicationName: 'carillon-opener' });
  const accounts: SealedAccount[] = JSON.parse(readFileSync(order.file, 'utf8'));
  const figures: OpenerFigures = { opens: 0, unreadable: 0, failures: [], hasOpenedAll: false };
  const server = createServer((request, response) => {
    response.end(request.url === '/figures' ? JSON.stringify(figures) : '{}');
  });
  server.listen(config.WORKER_PORT, '127.0.0.1');
  const stop = () => process.exit(0);
  process.once('SIGTERM', stop);
  exitWithParent(config.SUPERVISOR_PID, stop);

  const open = opener(db, sealing);
  if (order.rate === 0) {
    await openAll({ db, sealing, accounts, figures });
    figures.hasOpenedAll = true;
    return;
  }
  for (let n = 0; ; n += 1) {
    const isKept = n % 10 === 0;
    const among = isKept ? withClients : accounts.length;
    const account = accounts[Math.floor(Math.random() * Math.min(among, accounts.length))];
    if (account !== undefined) {
      void counted(figures, () => open(account, isKept));
    }
    await wait(1_000 / order.rate);
  }
}

function opener(db: Knex, sealing: Sealing) {
  const senders = createAccountSenders({
    db,
    sealing,
    timeoutMs: 5_000,
    publicUrl: 'http://carillon.test',
    onlyPublic: false,
  });
  return async (account: SealedAccount, hasClient: boolean): Promise<boolean> => {
    if (hasClient) {
      return (await senders.of(account.tenantId, account.id)).accountId === account.id;
    }
    const { credentials } = await withTenant(db, account.tenantId, (trx) =>
      openCredentials(trx, sealing, account),
    );
    return 'apiKey' in credentials && isKeyOf(account, credentials.apiKey);
  };
}

async function counted(figures: OpenerFigures, open: () => Promise<boolean>): Promise<void> {
  try {
    const isRight = await open();
    figures.opens += 1;
    figures.unreadable += isRight ? 0 : 1;
  } catch (error) {
    if (error instanceof SealingError) {
      figures.unreadable += 1;
    } else {
      figures.failures.push(error instanceof Error ? error.message : String(error));
    }
  }
}

// Tenant by tenant, all of a tenant's rows at once.
async function openAll(work: {
  db: Knex;
  sealing: Sealing;
  accounts: readonly SealedAccount[];
  figures: OpenerFigures;
}): Promise<void> {
  const byId = new Map(work.accounts.map((account) => [account.id, account]));
  for (const tenantId of new Set(work.accounts.map((account) => account.tenantId))) {
    const rows = await withTenant(work.db, tenantId, async (trx) =>
      ProviderAccount.query(trx).where({ tenant_id: tenantId }),
    );
    for (const row of rows) {
      const account = byId.get(row.id);
      if (account !== undefined) {
        await counted(work.figures, async () => {
          const { credentials } = openAccount(work.sealing, row);
          return 'apiKey' in credentials && isKeyOf(account, credentials.apiKey);
        });
      }
    }
  }
}

function readOrder(args: string[]): Order {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args, options: { file: text, rate: text } });
  if (values.file === undefined || values.rate === undefined) {
    throw new Error('--file and --rate are needed');
  }
  return { file: values.file, rate: Number(values.rate) };
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
