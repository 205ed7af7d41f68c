import type { Knex } from 'knex';
import { tenantRole } from './walls';

// A wave that is cancelled by itself ends its window, so that no gate opens for it any more.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`grant update (closes_at) on waves to ${tenantRole}`);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`revoke update (closes_at) on waves from ${tenantRole}`);
}
