import type { Knex } from 'knex';

/** What of a run is still open, and when its next doubt is due by the campaign's policy. */
export interface OpenCount {
  planned: number;
  held: number;
  inDoubt: number;
  nextDoubtAt: Date | null;
  nextLeaseAt: Date | null;
}

/** Counts a run's dispatches that have not ended, over all plan versions. */
export async function countOpen(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<OpenCount> {
  const counted = await trx.raw(
    `select count(*) filter (where state = 'planned') as planned,
            count(*) filter (where state in ('claimed', 'calling')) as held,
            count(*) filter (where state = 'in_doubt') as "inDoubt",
            min(doubt_until) filter (where state = 'in_doubt') as "nextDoubtAt",
            min(lease_until) filter (where state in ('claimed', 'calling')) as "nextLeaseAt"
       from dispatches
      where tenant_id = ? and run_id = ? and state in ('planned', 'claimed', 'calling', 'in_doubt')`,
    [tenantId, runId],
  );
  return counted.rows[0];
}

/**
 * Applies the policy to doubts whose deadline is over: held ones end as unconfirmed; those to be
 * sent again get one new wave that opens now, unless events that prove them are stored and wait to be
 * applied. Answers how many went either way. `runId` null means every run whose own workflow no
 * longer looks (its gate is closed): there nothing is sent again.
 */
export async function settleOverdueDoubts(
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string; windowMinutes: number } | null,
): Promise<{ unconfirmed: number; again: number }> {
  const ended = await trx.raw(
    `update dispatches d
        set state = 'unconfirmed', settled_at = clock_timestamp(), doubt_until = null
       from campaign_runs r
      where r.id = d.run_id and d.state = 'in_doubt' and d.doubt_until <= clock_timestamp()
        and ${run === null ? "r.gate = 'closed'" : "d.tenant_id = :tenantId and d.run_id = :runId and (r.doubt_policy = 'hold' or r.gate = 'closed')"}
     returning d.n`,
    run === null ? {} : { tenantId: run.tenantId, runId: run.runId },
  );
  if (run === null) {
    return { unconfirmed: ended.rows.length, again: 0 };
  }
  const again = await trx.raw(
    `with overdue as (
       select d.n, d.message_count, d.time_zone, r.plan_version
         from dispatches d join campaign_runs r on r.id = d.run_id
        where d.tenant_id = :tenantId and d.run_id = :runId and d.state = 'in_doubt'
          and d.doubt_until <= clock_timestamp() and r.doubt_policy = 'sendAgain'
          and r.gate <> 'closed'
          and not exists (
            select 1 from message_events e
             where e.run_id = d.run_id and e.dispatch_n = d.n and e.source <> 'carillon'
               and e.message_n between d.first_message_n and d.last_message_n
               and exists (
                 select 1 from waiting_events w
                  where e.id between w.event_ids[1] and w.event_ids[w.event_count]
                    and e.id = any(w.event_ids)))
        for update of d
     ), wave as (
       insert into waves (run_id, plan_version, n, tenant_id, kind, starts_at, closes_at,
         time_zones, planned_count)
       select :runId, min(plan_version),
              (select coalesce(max(n), 0) + 1 from waves
                where run_id = :runId and plan_version = min(o.plan_version)),
              :tenantId, 'again', clock_timestamp(),
              clock_timestamp() + :windowMinutes * interval '1 minute',
              array_agg(distinct time_zone), sum(message_count)
         from overdue o having count(*) > 0
       returning plan_version, n
     )
     update dispatches d
        set state = 'planned', plan_version = wave.plan_version, wave_n = wave.n,
            doubt_until = null, not_before = null, wait_reason = null
       from overdue, wave
      where d.run_id = :runId and d.n = overdue.n
     returning d.n`,
    { tenantId: run.tenantId, runId: run.runId, windowMinutes: run.windowMinutes },
  );
  return { unconfirmed: ended.rows.length, again: again.rows.length };
}

/**
 * The final sweep of a cancel, after every slice has returned: what was planned or claimed is
 * cancelled. What is calling or in doubt keeps its own way to an end.
 */
export async function cancelRemaining(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
  wave?: { planVersion: number; waveN: number },
): Promise<number> {
  const cancelled = await trx.raw(
    `update dispatches d
        set state = 'cancelled', settled_at = clock_timestamp(), lease_until = null,
            not_before = null, wait_reason = null
       from campaign_runs r
      where r.id = d.run_id and d.tenant_id = :tenantId and d.run_id = :runId
        and (d.state = 'planned' or (d.state = 'claimed' and r.gate = 'closed'))
        and ${wave === undefined ? "r.gate = 'closed'" : 'd.plan_version = :planVersion and d.wave_n = :waveN'}
     returning d.n`,
    { tenantId, runId, ...wave },
  );
  return cancelled.rows.length;
}
