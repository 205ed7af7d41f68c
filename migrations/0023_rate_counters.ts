import type { Knex } from 'knex';
import { may, raiseWalls } from './walls';

// How often somebody asked in the window that runs, for all API processes. It may be lost with the
// server: unlogged, a request costs no write to the log and no wait for the disk. Columns and their
// order are those of rate-limiter-flexible's store.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create unlogged table rate_counters (
      key text primary key,
      points int not null default 0,
      expire bigint
    ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
    comment on column rate_counters.expire is 'when the window ends, in milliseconds since 1970';
  `);
  await raiseWalls(knex, {
    rate_counters: { own: 'false', platform: { rateCounters: may.doAll } },
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table rate_counters');
}
