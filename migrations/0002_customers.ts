import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table customers (
      id uuid not null,
      tenant_id uuid not null references tenants (id),
      external_id text,
      email text,
      phone text,
      first_name text,
      last_name text,
      language text,
      time_zone text,
      tags text[] not null default '{}',
      attributes jsonb not null default '{}',
      email_consent text not null default 'unknown'
        check (email_consent in ('unknown', 'granted', 'withdrawn')),
      email_consent_source text,
      email_consent_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (tenant_id, id)
    );
    create unique index customers_email on customers (tenant_id, lower(email)) where email is not null;
    create unique index customers_external_id on customers (tenant_id, external_id)
      where external_id is not null;
    create index customers_time_zone on customers (tenant_id, time_zone, id);
    create index customers_created_at on customers (tenant_id, created_at, id);
    create index customers_tags on customers using gin (tags);

    create table suppressions (
      id uuid not null default gen_random_uuid(),
      tenant_id uuid not null references tenants (id),
      channel text not null check (channel in ('email')),
      address text not null,
      reason text not null
        check (reason in ('unsubscribed', 'bounced', 'complained', 'invalid', 'manual')),
      run_id uuid,
      created_at timestamptz not null default now(),
      primary key (tenant_id, channel, address),
      unique (tenant_id, id)
    );
    create index suppressions_created_at on suppressions (tenant_id, created_at, id);

    create table imports (
      id uuid not null,
      tenant_id uuid not null references tenants (id),
      file_name text,
      state text not null check (state in ('running', 'completed', 'failed')),
      rows_read int not null default 0,
      rows_created int not null default 0,
      rows_updated int not null default 0,
      rows_rejected int not null default 0,
      failure_code text,
      failure text,
      created_by uuid,
      created_at timestamptz not null default now(),
      -- Moves with every batch: an import that stands still has lost its process.
      updated_at timestamptz not null default now(),
      finished_at timestamptz,
      primary key (tenant_id, id)
    );

    create table import_rejections (
      tenant_id uuid not null,
      import_id uuid not null,
      row_number int not null,
      field text,
      code text not null,
      reason text not null,
      primary key (tenant_id, import_id, row_number),
      foreign key (tenant_id, import_id) references imports (tenant_id, id) on delete cascade
    );
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table import_rejections, imports, suppressions, customers');
}
