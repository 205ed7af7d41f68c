import type { Knex } from 'knex';
import { admitPurpose, dismissPurpose, may } from './walls';

// Suspending somebody ends what was sent to them.
const forAdmins = { user_tokens: may.change };

// A seed that was proposed and never shown is over after a while; one from before this is over at once.
export async function up(knex: Knex): Promise<void> {
  await knex.raw('alter table users add column mfa_proposed_at timestamptz');
  await admitPurpose(knex, 'platformAdmin', forAdmins);
}

export async function down(knex: Knex): Promise<void> {
  await dismissPurpose(knex, 'platformAdmin', forAdmins);
  await knex.raw('alter table users drop column mfa_proposed_at');
}
