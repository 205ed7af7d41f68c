import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table idempotency_keys (
      tenant_id uuid not null references tenants (id),
      key text not null,
      route text not null,
      request_hash bytea not null,
      state text not null check (state in ('running', 'done')),
      -- The attempt that holds the key: one that lost its lock may not store an answer.
      claimed_by uuid not null,
      locked_until timestamptz not null,
      status int,
      headers jsonb,
      body text,
      created_at timestamptz not null default now(),
      primary key (tenant_id, key)
    );
    create index idempotency_keys_created_at on idempotency_keys (created_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table idempotency_keys');
}
