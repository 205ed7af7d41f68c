import type { Knex } from '../../lib/db';

const tables = [
  'tenants',
  'users',
  'customers',
  'suppressions',
  'imports',
  'import_rejections',
  'campaigns',
  'campaign_contents',
  'campaign_runs',
  'campaign_log',
  'waves',
  'dispatches',
  'messages',
  'message_events',
  'provider_accounts',
];

/** One text for all that the product keeps: equal before and after means that nothing changed. */
export async function checksumOf(db: Knex): Promise<string> {
  const sums = tables.map(
    (table) =>
      `(select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from ${table} t)`,
  );
  const found = await db.raw(`select concat_ws('/', ${sums.join(', ')}) as sum`);
  return found.rows[0].sum;
}
