import type { Knex } from 'knex';
import { isEnvelope } from './sealed';
import { may, raiseWalls } from './walls';

// Keys of workflow payloads, one tenant's apart from another's and from the platform's, which has no
// tenant. The generation decides who made the next key when two processes do so at once. The check
// refuses what is no envelope, so that no mistake of ours stores a key in clear.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table tenant_data_keys (
      id uuid primary key,
      tenant_id uuid references tenants (id) on delete cascade,
      generation int not null check (generation > 0),
      sealed_key text not null check (${isEnvelope('sealed_key')}),
      created_at timestamptz not null default now(),
      constraint tenant_data_keys_generation unique nulls not distinct (tenant_id, generation)
    );
    comment on column tenant_data_keys.tenant_id is 'null for workflows of the platform';
  `);
  await raiseWalls(knex, {
    tenant_data_keys: { platform: { payloadKeys: may.add, resealing: may.change } },
  });
}

// What was encrypted cannot be read without the keys: take them along before going back.
export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table tenant_data_keys');
}
