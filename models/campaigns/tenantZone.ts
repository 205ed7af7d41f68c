import type { Knex } from 'knex';

/** The zone a tenant lives in: what stands in for customers without one. */
export async function loadTenantZone(trx: Knex.Transaction, tenantId: string): Promise<string> {
  const found = await trx.raw('select time_zone as zone from tenants where id = ?', [tenantId]);
  return found.rows[0].zone;
}
