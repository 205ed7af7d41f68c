import type { Knex } from 'knex';
import type { TrackedMessage } from '../../lib/trackingTokens';

// Since the message was in a provider's hands, or with its recipient, by the database's clock.
const sinceHandover = `extract(epoch from
  clock_timestamp() - greatest(d.called_at, m.delivered_at))::float8 * 1000`;

/**
 * Where a tracked link leads, the address at this index in the content the run was sent with, and
 * how long the message has been on its way (null when that is not known).
 */
export async function findLink(
  trx: Knex.Transaction,
  { runId, messageN }: TrackedMessage,
  index: number,
): Promise<{ url: string; sinceHandoverMs: number | null } | null> {
  // Postgres counts array elements from 1.
  const found = await trx.raw(
    `select t.links[?] as url, ${sinceHandover} as "sinceHandoverMs"
       from campaign_runs r
       join campaign_contents t on t.tenant_id = r.tenant_id and t.campaign_id = r.campaign_id
        and t.version = r.content_version
       left join messages m on m.run_id = r.id and m.n = ?
       left join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
      where r.id = ?`,
    [index + 1, messageN, runId],
  );
  const row = found.rows[0];
  return row === undefined || row.url === null ? null : row;
}

/** How long a message has been on its way; null when that is not known. */
export async function findSinceHandover(
  trx: Knex.Transaction,
  { runId, messageN }: TrackedMessage,
): Promise<number | null> {
  const found = await trx.raw(
    `select ${sinceHandover} as "sinceHandoverMs"
       from messages m join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
      where m.run_id = ? and m.n = ?`,
    [runId, messageN],
  );
  return found.rows[0]?.sinceHandoverMs ?? null;
}
