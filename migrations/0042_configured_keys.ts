import type { Knex } from 'knex';
import { may, raiseWalls } from './walls';

// Keys of language models that were once taken in from the environment, by SHA-256: one that people
// revoked and removed stays away though the environment still names it.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table llm_configured_keys (
      fingerprint text primary key check (fingerprint ~ '^[0-9a-f]{64}$'),
      taken_at timestamptz not null default now()
    )
  `);
  await raiseWalls(knex, {
    llm_configured_keys: { own: 'false', platform: { platformAdmin: may.add } },
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table llm_configured_keys');
}
