import type { Knex } from 'knex';

// An index is built beside what is in use, without holding up writers.
export const config = { transaction: false };

// What customers write to our numbers: who, when, and what they want. No text is kept, because
// nothing reads it: a wish is read when it comes, and WhatsApp's window needs a time alone. Accounts
// are not referred to: what was written stays true when one is removed. The tenant is null for a
// number of the platform, which serves all of them.
export async function up(knex: Knex): Promise<void> {
  // An attempt that was interrupted left an index that may not be valid, or all of it unrecorded.
  await knex.raw('drop index concurrently if exists customers_phone');
  await knex.raw(
    'create index concurrently customers_phone on customers (tenant_id, phone) where phone is not null',
  );
  await knex.transaction((trx) =>
    trx.raw(`
      create table if not exists inbound_messages (
        id uuid primary key,
        account_id text not null,
        tenant_id uuid references tenants (id),
        channel text not null check (channel in ('sms', 'whatsapp')),
        from_address text not null,
        to_address text not null,
        provider_message_id text not null,
        wish text check (wish in ('stop', 'start', 'help')),
        written_at timestamptz not null,
        received_at timestamptz not null default now(),
        unique (account_id, provider_message_id)
      );
      create index if not exists inbound_messages_from
        on inbound_messages (account_id, channel, from_address, written_at);
      create index if not exists inbound_messages_tenant on inbound_messages (tenant_id);

      alter table message_events add column if not exists account_id text;
      comment on column message_events.account_id is
        'the account whose key it was signed with; null for what was noted by ourselves';
    `),
  );
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('alter table message_events drop column if exists account_id');
  await knex.raw('drop table if exists inbound_messages');
  await knex.raw('drop index concurrently if exists customers_phone');
}
