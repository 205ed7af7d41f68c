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

/**
 * Divides a claimed dispatch that no call may carry whole any more, because a limit has become lower
 * than its messages: it keeps the first `most`, the rest goes to dispatches of as many in the same
 * wave. Only while the claim holds.
 */
export async function splitToFit(
  trx: Knex.Transaction,
  split: { tenantId: string; runId: string; dispatch: ClaimedDispatch; most: number },
): Promise<void> {
  const { tenantId, runId, dispatch, most } = split;
  await trx.raw(
    `with parent as (
       select n, time_zone, plan_version, wave_n from dispatches
        where run_id = :runId and tenant_id = :tenantId and n = :n
          and state = 'claimed' and claim_n = :claimN for update
     ), placed as (
       select m.n, m.outcome, ((row_number() over (order by m.n) - 1) / :most)::int as part
         from messages m, parent
        where m.run_id = :runId and m.tenant_id = :tenantId and m.dispatch_n = :n
          and m.n between :first and :last
     ), parts as (
       select part, min(n) as first, max(n) as last, count(*) as messages,
              count(*) filter (where outcome = 'left_out') as left_out,
              count(*) filter (where outcome = 'refused') as refused
         from placed group by part
     ), numbers as (
       update campaign_runs set next_dispatch_n = next_dispatch_n + (select max(part) from parts)
        where id = :runId and tenant_id = :tenantId and (select max(part) from parts) > 0
       returning next_dispatch_n - (select max(part) from parts) as first
     ), children as (
       insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n,
         first_message_n, last_message_n, message_count, parent_n, left_out_count, refused_count)
       select :runId, numbers.first + p.part - 1, :tenantId, parent.time_zone, parent.plan_version,
              parent.wave_n, p.first, p.last, p.messages, :n, p.left_out, p.refused
         from parts p, parent, numbers where p.part > 0
       returning n, first_message_n, last_message_n
     ), moved as (
       update messages m set dispatch_n = c.n
         from children c
        where m.run_id = :runId and m.tenant_id = :tenantId and m.dispatch_n = :n
          and m.n between c.first_message_n and c.last_message_n
     )
     update dispatches d
        set last_message_n = p.last, message_count = p.messages,
            left_out_count = p.left_out, refused_count = p.refused
       from parts p, numbers
      where d.run_id = :runId and d.tenant_id = :tenantId and d.n = :n and p.part = 0`,
    {
      tenantId,
      runId,
      n: dispatch.n,
      claimN: dispatch.claimN,
      first: dispatch.firstMessageN,
      last: dispatch.lastMessageN,
      most,
    },
  );
}
