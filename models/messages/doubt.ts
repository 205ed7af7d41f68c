import type { Knex } from 'knex';
import { isUnproven, planAgain } from './doubtsAgain';

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

/** What the policy has made of doubts whose deadline is over; all count dispatches. */
export interface OverdueDoubts {
  /** Taken for accepted. */
  assumed: number;
  unconfirmed: number;
  again: number;
}

/**
 * Applies the policy to doubts whose deadline is over: held ones end as unconfirmed, others are taken
 * for accepted; those to be sent again get one new wave that opens now, unless events that prove them
 * are stored and wait to be applied. `runId` null means every run whose own workflow no longer looks
 * (its gate is closed): there nothing is sent again.
 */
export async function settleOverdueDoubts(
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string; windowMinutes: number } | null,
): Promise<OverdueDoubts> {
  const ended = await trx.raw(
    `with ended as (
       update dispatches d
          set state = case r.doubt_policy when 'assumeAccepted' then 'accepted'
                                          else 'unconfirmed' end,
              reason = case r.doubt_policy when 'assumeAccepted' then null else d.reason end,
              settled_at = clock_timestamp(), doubt_until = null
         from campaign_runs r
        where r.id = d.run_id and d.state = 'in_doubt' and d.doubt_until <= clock_timestamp()
          and ${run === null ? "r.gate = 'closed'" : "d.tenant_id = :tenantId and d.run_id = :runId and (r.doubt_policy <> 'sendAgain' or r.gate = 'closed')"}
       returning d.run_id, d.n, d.attempt, d.state
     ), assumed as (
       update dispatch_attempts a
          set outcome = 'accepted', proven_by = 'policy', settled_at = clock_timestamp()
         from ended e
        where e.state = 'accepted' and a.run_id = e.run_id and a.dispatch_n = e.n
          and a.attempt = e.attempt
     )
     select count(*) filter (where state = 'accepted') as assumed,
            count(*) filter (where state = 'unconfirmed') as unconfirmed
       from ended`,
    run === null ? {} : { tenantId: run.tenantId, runId: run.runId },
  );
  const counts: Omit<OverdueDoubts, 'again'> = ended.rows[0];
  if (run === null) {
    return { ...counts, again: 0 };
  }
  const overdue = await trx.raw(
    `select d.n
       from dispatches d join campaign_runs r on r.id = d.run_id
      where d.tenant_id = :tenantId and d.run_id = :runId and d.state = 'in_doubt'
        and d.doubt_until <= clock_timestamp() and r.doubt_policy = 'sendAgain'
        and r.gate <> 'closed' and ${isUnproven}
      order by d.n for update of d`,
    { tenantId: run.tenantId, runId: run.runId },
  );
  const rows: { n: number }[] = overdue.rows;
  const { planned } = await planAgain(
    trx,
    run,
    rows.map(({ n }) => n),
  );
  return { ...counts, again: planned };
}

/**
 * The final sweep of a cancel, after every slice has returned: what was planned or claimed is
 * cancelled. What is calling or in doubt keeps its own way to an end.
 */
export async function cancelRemaining(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<number> {
  const cancelled = await trx.raw(
    `update dispatches d set ${cancelledNow}
       from campaign_runs r
      where r.id = d.run_id and r.gate = 'closed' and d.tenant_id = :tenantId and d.run_id = :runId
        and d.state in ('planned', 'claimed')
     returning d.n`,
    { tenantId, runId },
  );
  return cancelled.rows.length;
}

/**
 * Ends a wave's window, so that no gate lets anything more of it pass, and cancels what is planned.
 * `open` counts what lanes have claimed or call, and what they gave back meanwhile.
 */
export async function cancelRestOfWave(
  trx: Knex.Transaction,
  wave: { tenantId: string; runId: string; planVersion: number; waveN: number },
): Promise<{ cancelled: number; open: number }> {
  const { tenantId, runId, planVersion, waveN } = wave;
  const key = { tenantId, runId, planVersion, waveN };
  await trx.raw(
    `update waves w set closes_at = greatest(w.starts_at, least(w.closes_at, clock_timestamp()))
      where w.tenant_id = :tenantId and w.run_id = :runId and w.plan_version = :planVersion
        and w.n = :waveN`,
    key,
  );
  const cancelled = await trx.raw(
    `update dispatches d set ${cancelledNow}
      where d.tenant_id = :tenantId and d.run_id = :runId and d.plan_version = :planVersion
        and d.wave_n = :waveN and d.state = 'planned'
     returning d.n`,
    key,
  );
  const left = await trx.raw(
    `select count(*) as open from dispatches d
      where d.tenant_id = :tenantId and d.run_id = :runId and d.plan_version = :planVersion
        and d.wave_n = :waveN and d.state in ('planned', 'claimed', 'calling')`,
    key,
  );
  return { cancelled: cancelled.rows.length, open: left.rows[0].open };
}

const cancelledNow = `state = 'cancelled', settled_at = clock_timestamp(), lease_until = null,
  not_before = null, wait_reason = null`;
