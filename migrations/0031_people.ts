import type { Knex } from 'knex';

// A tenant that was ended is more than suspended: nobody lets it go on by mistake. A one-time password
// opens nothing but the way to a password of one's own.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table tenants
      add column allowed_languages text[] not null default '{}',
      add column ended_at timestamptz;
    alter table users
      add column password_expires_at timestamptz;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table users
      drop column password_expires_at;
    alter table tenants
      drop column ended_at,
      drop column allowed_languages;
  `);
}
