import type { Knex } from 'knex';
import type { TrackedMessage } from '../../lib/trackingTokens';

/** Where a tracked link leads: the address at this index in the content the run was sent with. */
export async function findLink(
  trx: Knex.Transaction,
  { runId }: TrackedMessage,
  index: number,
): Promise<string | null> {
  // Postgres counts array elements from 1.
  const found = await trx.raw(
    `select t.links[?] as url
       from campaign_runs r
       join campaign_contents t on t.tenant_id = r.tenant_id and t.campaign_id = r.campaign_id
        and t.version = r.content_version
      where r.id = ?`,
    [index + 1, runId],
  );
  return found.rows[0]?.url ?? null;
}
