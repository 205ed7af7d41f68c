import type { Knex } from 'knex';
import { planAgainWindows } from './againWindows';

/**
 * Of a dispatch `d`: no event that proves its call is stored and waits to be applied. What is proven
 * in a moment must not be sent once more.
 */
export const isUnproven = `not exists (
  select 1 from message_events e
   where e.run_id = d.run_id and e.dispatch_n in (d.n, d.parent_n) and e.source <> 'carillon'
     and e.message_n between d.first_message_n and d.last_message_n
     and exists (
       select 1 from waiting_events w
        where e.id between w.event_ids[1] and w.event_ids[w.event_count]
          and e.id = any(w.event_ids)))`;

/**
 * Plans dispatches once more, in new waves that open now, or for zones with quiet hours when these end;
 * those of a run whose gate is closed end as cancelled instead. The caller holds the lock of these dispatches and knows that their newest call
 * was not accepted, or may be repeated.
 */
export async function planAgain(
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string; windowMinutes: number },
  dispatchNs: readonly number[],
): Promise<{ planned: number; cancelled: number }> {
  const { tenantId, runId, windowMinutes } = run;
  if (dispatchNs.length === 0) {
    return { planned: 0, cancelled: 0 };
  }
  // Whoever writes waves of a run holds its lock: the next number is nobody else's then.
  const locked = await trx.raw(
    `select gate, schedule->'quietHours' as "quietHours" from campaign_runs
      where tenant_id = :tenantId and id = :runId for update`,
    { tenantId, runId },
  );
  if (locked.rows[0]?.gate === 'closed') {
    const ended = await trx.raw(
      `update dispatches
          set state = 'cancelled', settled_at = clock_timestamp(), doubt_until = null
        where tenant_id = :tenantId and run_id = :runId and n = any(cast(:ns as int[]))
       returning n`,
      { tenantId, runId, ns: dispatchNs },
    );
    return { planned: 0, cancelled: ended.rows.length };
  }
  const windows = await planAgainWindows(trx, {
    tenantId,
    runId,
    ns: dispatchNs,
    windowMinutes,
    quietHours: locked.rows[0]?.quietHours ?? null,
  });
  const again = await trx.raw(
    `with chosen as (
       select d.n, d.message_count, d.time_zone, r.plan_version,
              w."startsAt" as starts_at, w."closesAt" as closes_at, w."waitsFor" as waits_for
         from dispatches d join campaign_runs r on r.id = d.run_id
         join jsonb_to_recordset(cast(:windows as jsonb)) as w
                (zone text, "startsAt" timestamptz, "closesAt" timestamptz, "waitsFor" text)
           on w.zone = d.time_zone
        where d.tenant_id = :tenantId and d.run_id = :runId and d.n = any(cast(:ns as int[]))
     ), wave as (
       insert into waves (run_id, plan_version, n, tenant_id, kind, starts_at, closes_at, waits_for,
         time_zones, planned_count)
       select :runId, plan_version,
              (select coalesce(max(n), 0) from waves
                where run_id = :runId and plan_version = c.plan_version)
                + row_number() over (order by starts_at, closes_at),
              :tenantId, 'again', starts_at, closes_at, min(waits_for),
              array_agg(distinct time_zone), sum(message_count)
         from chosen c group by plan_version, starts_at, closes_at
       returning plan_version, n, starts_at, closes_at
     )
     update dispatches d
        set state = 'planned', plan_version = wave.plan_version, wave_n = wave.n,
            settled_at = null, doubt_until = null, not_before = null, wait_reason = null
       from chosen, wave
      where d.run_id = :runId and d.n = chosen.n
        and wave.starts_at = chosen.starts_at and wave.closes_at = chosen.closes_at
     returning d.n`,
    { tenantId, runId, windows: JSON.stringify(windows), ns: dispatchNs },
  );
  return { planned: again.rows.length, cancelled: 0 };
}
