import type { Knex } from 'knex';

// Built and dropped beside what is in use, without holding up writers.
export const config = { transaction: false };

// Behind row-level security no index answers which tags a customer has: the planner may not look at
// other tenants' tags with an operator that could betray them. The index cost every write and served
// nobody.
export async function up(knex: Knex): Promise<void> {
  await knex.raw('drop index concurrently if exists customers_tags');
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('create index concurrently customers_tags on customers using gin (tags)');
}
