import type { Knex } from 'knex';
import { admitPurpose, dismissPurpose, may } from './walls';

// What the platform's admins look at and turn: who works where, and what is being sent.
const forAdmins = {
  users: may.change,
  memberships: may.read,
  sessions: may.keep,
  campaign_runs: may.change,
  campaign_log: may.add,
};

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
  await admitPurpose(knex, 'platformAdmin', forAdmins);
}

export async function down(knex: Knex): Promise<void> {
  await dismissPurpose(knex, 'platformAdmin', forAdmins);
  await knex.raw(`
    alter table users
      drop column password_expires_at;
    alter table tenants
      drop column ended_at,
      drop column allowed_languages;
  `);
}
