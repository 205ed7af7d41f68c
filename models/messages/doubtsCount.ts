import type { Knex } from 'knex';
import type { Vendor } from '../../domain/messages/accounts/types';

/** Calls in doubt of one vendor, over all tenants. */
export interface OpenDoubts {
  vendor: Vendor | 'unknown';
  calls: number;
  /** How long ago the first of them was made. */
  oldestSeconds: number;
}

/** Counts calls in doubt by vendor; one without any is not there. */
export async function countOpenDoubts(trx: Knex.Transaction): Promise<OpenDoubts[]> {
  const counted = await trx.raw(
    `select coalesce(p.vendor, 'unknown') as vendor, count(*) as calls,
            coalesce(extract(epoch from clock_timestamp() - min(d.called_at)), 0)::float8
              as "oldestSeconds"
       from dispatches d
       join campaign_runs r on r.id = d.run_id
       left join provider_accounts p on p.id = r.account_id
      where d.state = 'in_doubt'
      group by 1 order by 1`,
  );
  return counted.rows;
}
