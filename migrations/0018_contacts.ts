import type { Knex } from 'knex';

// Who was written to, for runs that cap how often, and by how many calls that may have arrived; why a wave begins later than it was to; what a
// tenant's campaigns keep to when they say nothing themselves; and how many messages of an account
// their recipients' servers put off lately.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table customer_contacts (
      tenant_id uuid not null,
      channel text not null,
      customer_id uuid not null,
      run_id uuid not null,
      message_n int not null,
      at timestamptz not null,
      calls int not null default 1 check (calls > 0),
      primary key (tenant_id, channel, customer_id, run_id, message_n)
    );
    -- They are written in the order of time and forgotten in it.
    create index customer_contacts_at on customer_contacts using brin (at);

    alter table waves
      add column waits_for text check (waits_for in ('quietHours', 'frequencyCap'));

    alter table tenants
      add column quiet_hours jsonb,
      add column frequency_caps jsonb not null default '{}';

    create table provider_deferrals (
      account_id text primary key references provider_accounts (id) on delete cascade,
      told real not null,
      deferred real not null,
      at timestamptz not null
    ) with (fillfactor = 50);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop table provider_deferrals, customer_contacts;
    alter table waves drop column waits_for;
    alter table tenants drop column quiet_hours, drop column frequency_caps;
  `);
}
