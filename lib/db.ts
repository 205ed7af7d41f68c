import knex, { type Knex } from 'knex';
import { types } from 'pg';

export type { Knex } from 'knex';

// Counts come back as int8; every one of ours fits a double exactly.
types.setTypeParser(types.builtins.INT8, (text) => Number(text));

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
    },
    pool: { min: 0, max: options.poolMax ?? 10 },
    acquireConnectionTimeout: 10_000,
  });
}
