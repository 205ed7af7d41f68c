import type { Knex } from 'knex';
import { isEnvelope } from './sealed';

// What an account is, beside its rate: whose it is, where it calls, as whom. A row that has no
// vendor yet has a rate alone. Credentials are sealed; the check refuses what is no envelope, so
// that no mistake of ours stores one in clear.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table provider_accounts
      add column tenant_id uuid references tenants (id),
      add column channel text check (channel in ('email', 'sms', 'whatsapp')),
      add column vendor text,
      add column name text,
      add column credentials text check (${isEnvelope('credentials')}),
      add column settings jsonb not null default '{}',
      add column senders jsonb not null default '[]',
      add column active boolean not null default true,
      add column is_default boolean not null default false,
      add column default_until timestamptz,
      add column version int not null default 1,
      add column tested_at timestamptz,
      add column test_outcome text check (test_outcome in ('accepted', 'refused', 'unreachable')),
      add column test_reason text,
      add column created_by uuid,
      add column created_at timestamptz not null default now(),
      add column updated_at timestamptz not null default now(),
      add constraint provider_accounts_vendor check (
        (channel, vendor) in (('email', 'sendgrid'), ('email', 'smtp'), ('sms', 'twilio'),
          ('whatsapp', 'twilio'), ('whatsapp', 'meta'))),
      add constraint provider_accounts_complete check (
        num_nulls(channel, vendor, name, credentials) in (0, 4)),
      add constraint provider_accounts_default check (
        not is_default or (active and vendor is not null)),
      add constraint provider_accounts_test check (
        (tested_at is null) = (test_outcome is null));

    create unique index provider_accounts_one_default
      on provider_accounts (tenant_id, channel) nulls not distinct where is_default;
    create index provider_accounts_tenant
      on provider_accounts (tenant_id, created_at, id) where vendor is not null;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table provider_accounts
      drop constraint provider_accounts_vendor,
      drop constraint provider_accounts_complete,
      drop constraint provider_accounts_default,
      drop constraint provider_accounts_test,
      drop column tenant_id,
      drop column channel,
      drop column vendor,
      drop column name,
      drop column credentials,
      drop column settings,
      drop column senders,
      drop column active,
      drop column is_default,
      drop column default_until,
      drop column version,
      drop column tested_at,
      drop column test_outcome,
      drop column test_reason,
      drop column created_by,
      drop column created_at,
      drop column updated_at
  `);
}
