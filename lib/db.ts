import knex, { type Knex } from 'knex';
import { types } from 'pg';

export type { Knex } from 'knex';

// Counts come back as int8; every one of ours fits a double exactly.
types.setTypeParser(types.builtins.INT8, (text) => Number(text));

const ignore = () => undefined;

/** A pool of connections. `applicationName` is what an operator sees in pg_stat_activity. */
export function createDatabase(options: {
  url: string;
  applicationName: string;
  poolMax?: number;
}): Knex {
  return knex({
    client: 'pg',
    connection: {
      connectionString: options.url,
      application_name: options.applicationName,
      keepAlive: true,
      // A process that is stopped in a transaction keeps its locks from everybody else, so the
      // server ends the transaction for it. Ours never think this long between two statements.
      idle_in_transaction_session_timeout: 5_000,
    },
    pool: { min: 0, max: options.poolMax ?? 10 },
    acquireConnectionTimeout: 10_000,
    // What fails is thrown and logged by whoever asked; Knex would print it as plain text.
    log: { warn: ignore, error: ignore, debug: ignore, deprecate: ignore },
  });
}
