import type { Knex } from 'knex';

// Built beside what is in use, without holding up writers.
export const config = { transaction: false };

// A call's customers are of one zone: in an index that begins with the zone they lie side by side,
// while the key has them a page apart. What the gate asks for moves there from the key.
export async function up(knex: Knex): Promise<void> {
  await replaceIndex(knex, 'include (email, email_consent)');
  await replaceKey(knex, '');
}

export async function down(knex: Knex): Promise<void> {
  await replaceKey(knex, 'include (email, email_consent)');
  await replaceIndex(knex, '');
}

async function replaceIndex(knex: Knex, included: string): Promise<void> {
  // What an interrupted attempt left behind may be an index that is not valid.
  await knex.raw('drop index concurrently if exists customers_by_zone');
  await knex.raw(
    `create index concurrently customers_by_zone on customers (tenant_id, time_zone, id) ${included}`,
  );
  await knex.raw('drop index concurrently if exists customers_time_zone');
  await knex.raw('alter index customers_by_zone rename to customers_time_zone');
}

async function replaceKey(knex: Knex, included: string): Promise<void> {
  await knex.raw('drop index concurrently if exists customers_key');
  await knex.raw(
    `create unique index concurrently customers_key on customers (tenant_id, id) ${included}`,
  );
  await knex.transaction(async (trx) => {
    await trx.raw('alter table customers drop constraint customers_pkey');
    await trx.raw(
      'alter table customers add constraint customers_pkey primary key using index customers_key',
    );
  });
}
