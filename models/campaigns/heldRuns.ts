import type { Knex } from 'knex';

/** Why the platform, and not a person of the tenant, has paused a run. */
export type HeldReason = 'planExpired' | 'planLimit' | 'tenantSuspended';

/**
 * Pauses all that tenants send, from the commit on; what is paused already keeps its reason. The
 * reconciler tells the workflows. Answers how many runs there were.
 */
export async function pauseOpenRuns(
  trx: Knex.Transaction,
  tenantIds: readonly string[],
  reason: HeldReason,
): Promise<number> {
  if (tenantIds.length === 0) {
    return 0;
  }
  const paused = await trx.raw(
    `with paused as (
       update campaign_runs
          set gate = 'paused', gate_reason = :reason, steered_at = clock_timestamp(),
              updated_at = now()
        where tenant_id = any(cast(:tenantIds as uuid[])) and gate = 'open'
          and kind = 'campaign' and state in ('planning', 'waiting', 'sending')
       returning tenant_id, campaign_id, id
     )
     insert into campaign_log (id, tenant_id, campaign_id, run_id, kind, actor_kind, detail)
     select gen_random_uuid(), tenant_id, campaign_id, id, 'paused', 'system',
            jsonb_build_object('reason', cast(:reason as text))
       from paused`,
    { tenantIds, reason },
  );
  return paused.rowCount;
}
