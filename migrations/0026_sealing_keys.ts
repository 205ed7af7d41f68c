import type { Knex } from 'knex';
import { may, raiseWalls } from './walls';

// Which keys seal, in the order in which they came: of two processes that disagree in the middle of a
// rolling change, the one with the newer key seals again what the other one sealed, never both. The
// keys themselves are in no database.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table sealing_keys (
      id text primary key check (id ~ '^[A-Za-z0-9_-]{1,32}$'),
      introduced_at timestamptz not null default clock_timestamp()
    )
  `);
  await raiseWalls(knex, {
    sealing_keys: { own: 'false', platform: { resealing: may.keep } },
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table sealing_keys');
}
