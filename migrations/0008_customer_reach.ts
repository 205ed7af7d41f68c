import type { Knex } from 'knex';

// Built beside what is in use, without holding up writers.
export const config = { transaction: false };

// The gate asks of every customer of a call whether they can still be written to. With what it asks
// for in the index itself, it need not visit a thousand places of the table.
export async function up(knex: Knex): Promise<void> {
  await replaceKey(knex, '(tenant_id, id) include (email, email_consent)');
}

export async function down(knex: Knex): Promise<void> {
  await replaceKey(knex, '(tenant_id, id)');
}

async function replaceKey(knex: Knex, columns: string): Promise<void> {
  // What an interrupted attempt left behind may be an index that is not valid.
  await knex.raw('drop index concurrently if exists customers_key');
  await knex.raw(`create unique index concurrently customers_key on customers ${columns}`);
  await knex.transaction(async (trx) => {
    await trx.raw('alter table customers drop constraint customers_pkey');
    await trx.raw(
      'alter table customers add constraint customers_pkey primary key using index customers_key',
    );
  });
}
