import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table tenants (
      id uuid primary key,
      name text not null,
      time_zone text not null default 'UTC',
      default_language text not null default 'en',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );

    create table users (
      id uuid not null,
      tenant_id uuid not null references tenants (id),
      email text not null,
      password_hash text not null,
      first_name text,
      last_name text,
      language text,
      time_zone text,
      role text not null check (role in ('owner', 'member', 'viewer')),
      last_login_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (tenant_id, id)
    );
    create unique index users_email on users (lower(email));
    create unique index users_id on users (id);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table users, tenants');
}
