import type { Knex } from 'knex';

/** Why the platform, and not a person of the tenant, has paused a run. */
export type HeldReason = 'planExpired' | 'planLimit' | 'tenantSuspended';

/** A campaign whose run was turned: its workflow is to hear of it. */
export interface TurnedCampaign {
  tenantId: string;
  campaignId: string;
}

/**
 * Pauses all campaigns that tenants send, from the commit on; what is paused already keeps its
 * reason. The reconciler tells the workflows. Answers how many runs there were.
 */
export async function pauseOpenRuns(
  trx: Knex.Transaction,
  tenantIds: readonly string[],
  reason: HeldReason,
): Promise<number> {
  const paused = await turnRuns(trx, {
    tenantIds,
    which: `gate = 'open' and kind = 'campaign'`,
    gate: 'paused',
    reason,
    logKind: 'paused',
  });
  return paused.length;
}

/**
 * Pauses one campaign for its plan's sake, whatever it was paused for before: neither the end of a
 * suspension nor a person opens it without asking the plan again. Answers whether it is paused.
 */
export async function holdForPlan(
  trx: Knex.Transaction,
  { tenantId, runId }: { tenantId: string; runId: string },
): Promise<boolean> {
  const paused = await turnRuns(trx, {
    tenantIds: [tenantId],
    runId,
    which: `gate <> 'closed'`,
    gate: 'paused',
    reason: 'planLimit',
    logKind: 'paused',
  });
  return paused.length > 0;
}

/**
 * Keeps everything of a tenant from leaving, single messages too. Which tenant is suspended has to be
 * written before, in the same transaction: whoever opens a run looks at that.
 */
export function holdTenant(trx: Knex.Transaction, tenantId: string): Promise<TurnedCampaign[]> {
  return turnRuns(trx, {
    tenantIds: [tenantId],
    which: `gate = 'open'`,
    gate: 'paused',
    reason: 'tenantSuspended',
    logKind: 'paused',
  });
}

/** Lets go what `holdTenant` kept back; what somebody paused for another reason stays paused. */
export function releaseTenant(trx: Knex.Transaction, tenantId: string): Promise<TurnedCampaign[]> {
  return turnRuns(trx, {
    tenantIds: [tenantId],
    which: `gate = 'paused' and gate_reason = 'tenantSuspended'`,
    gate: 'open',
    reason: null,
    logKind: 'resumed',
  });
}

/** Cancels all campaigns of a tenant, paused ones too; its single messages are kept back and expire. */
export async function cancelTenant(
  trx: Knex.Transaction,
  tenantId: string,
): Promise<TurnedCampaign[]> {
  const cancelled = await turnRuns(trx, {
    tenantIds: [tenantId],
    which: `gate <> 'closed' and kind = 'campaign'`,
    gate: 'closed',
    reason: 'tenantEnded',
    logKind: 'cancelRequested',
  });
  await holdTenant(trx, tenantId);
  return cancelled;
}

/**
 * Whether the tenant is suspended, and stays as it is until the transaction ends: whoever opens a run
 * asks before, so that none is opened past a suspension that is being written.
 */
export async function isTenantSuspended(trx: Knex.Transaction, tenantId: string): Promise<boolean> {
  const found = await trx.raw(
    `select suspended_at is not null as "isSuspended" from tenants where id = ? for share`,
    [tenantId],
  );
  return found.rows[0]?.isSuspended === true;
}

interface Turn {
  tenantIds: readonly string[];
  /** Of these one run alone. */
  runId?: string;
  /** SQL: which of their open runs. */
  which: string;
  gate: 'open' | 'paused' | 'closed';
  reason: string | null;
  logKind: string;
}

async function turnRuns(trx: Knex.Transaction, turn: Turn): Promise<TurnedCampaign[]> {
  if (turn.tenantIds.length === 0) {
    return [];
  }
  const turned = await trx.raw(
    `with turned as (
       update campaign_runs
          set gate = :gate, gate_reason = :reason, steered_at = clock_timestamp(),
              updated_at = now()
        where tenant_id = any(cast(:tenantIds as uuid[])) and ${turn.which}
          and (cast(:runId as uuid) is null or id = :runId)
          and state in ('planning', 'waiting', 'sending')
       returning tenant_id, campaign_id, id
     )
     insert into campaign_log (id, tenant_id, campaign_id, run_id, kind, actor_kind, detail)
     select gen_random_uuid(), tenant_id, campaign_id, id, :logKind, 'system',
            jsonb_strip_nulls(jsonb_build_object('reason', cast(:reason as text)))
       from turned where campaign_id is not null
     returning tenant_id as "tenantId", campaign_id as "campaignId"`,
    { ...turn, runId: turn.runId ?? null },
  );
  return turned.rows;
}
