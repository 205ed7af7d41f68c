import type { Knex } from 'knex';
import type { ClaimedDispatch } from './claims';

/**
 * Gives each of these messages a dispatch of its own in the same wave, because it can't share a
 * call. Only while the claim holds; answers whether it did.
 */
export async function splitOffMessages(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
  dispatch: ClaimedDispatch,
  messageNs: number[],
): Promise<boolean> {
  const moved = await trx.raw(
    `with parent as (
       update dispatches set message_count = message_count - cardinality(cast(:messageNs as int[]))
        where run_id = :runId and tenant_id = :tenantId and n = :n
          and state = 'claimed' and claim_n = :claimN
       returning time_zone, plan_version, wave_n
     ), numbers as (
       update campaign_runs set next_dispatch_n = next_dispatch_n + cardinality(cast(:messageNs as int[]))
        where id = :runId and tenant_id = :tenantId and exists (select 1 from parent)
       returning next_dispatch_n - cardinality(cast(:messageNs as int[])) as first
     ), children as (
       insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n,
         first_message_n, last_message_n, message_count, parent_n)
       select :runId, numbers.first + own.position - 1, :tenantId, parent.time_zone,
              parent.plan_version, parent.wave_n, own.n, own.n, 1, :n
         from unnest(cast(:messageNs as int[])) with ordinality as own (n, position),
              parent, numbers
       returning n, first_message_n
     )
     update messages m set dispatch_n = children.n
       from children
      where m.run_id = :runId and m.n = children.first_message_n and m.tenant_id = :tenantId
     returning m.n`,
    { tenantId, runId, n: dispatch.n, claimN: dispatch.claimN, messageNs },
  );
  return moved.rows.length > 0;
}
