import type { Knex } from 'knex';
import { isEnvelope } from './sealed';
import { admitPurpose, dismissPurpose, may } from './walls';

const resealed = { idempotency_keys: may.change };

// Answers that are nobody's to read, kept for whoever repeats the request.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table idempotency_keys
      add column sealed_body text check (${isEnvelope('sealed_body')}),
      add check (body is null or sealed_body is null)
  `);
  await knex.raw(`
    create index idempotency_keys_sealed on idempotency_keys (tenant_id, key)
      where sealed_body is not null
  `);
  await admitPurpose(knex, 'resealing', resealed);
}

export async function down(knex: Knex): Promise<void> {
  await dismissPurpose(knex, 'resealing', resealed);
  await knex.raw('alter table idempotency_keys drop column sealed_body');
}
