import type { Knex } from 'knex';
import { AppError, conflict, notFound } from '../../domain/errors';
import {
  runIsOpen,
  type Actor,
  type Audience,
  type Channel,
  type DoubtPolicy,
  type Gate,
  type RunState,
  type Schedule,
} from '../../domain/campaigns/types';
import { isTenantSuspended } from './heldRuns';
import { logCampaign } from './log';
import { settleRunQuota } from './runQuota';

export interface CampaignRun {
  id: string;
  tenantId: string;
  campaignId: string;
  n: number;
  channel: Channel;
  /** The account its calls are made for, once its plan is written. */
  accountId: string | null;
  contentVersion: number;
  audience: Audience;
  schedule: Schedule;
  state: RunState;
  gate: Gate;
  gateReason: string | null;
  /** When it was last steered, in microseconds; 0 when never. What was read later has more. */
  steering: number;
  failure: string | null;
  planVersion: number;
  planSealedAt: Date | null;
  leftOut: Record<string, number>;
  doubtPolicy: DoubtPolicy;
  doubtDeadlineMs: number;
  startsAt: Date | null;
  completedAt: Date | null;
  createdAt: Date;
}

const runColumns = `
  id, tenant_id as "tenantId", campaign_id as "campaignId", n, channel,
  account_id as "accountId", content_version as "contentVersion", audience, schedule, state, gate,
  gate_reason as "gateReason",
  coalesce((extract(epoch from steered_at) * 1000000)::bigint, 0) as steering, failure, plan_version as "planVersion",
  plan_sealed_at as "planSealedAt", left_out as "leftOut", doubt_policy as "doubtPolicy",
  doubt_deadline_ms as "doubtDeadlineMs", starts_at as "startsAt",
  completed_at as "completedAt", created_at as "createdAt"`;

/**
 * Writes a new run of a campaign, its gate open. Running it is the workflow's business; a run whose
 * workflow was not started after the commit is found by the reconciler.
 *
 * @throws conflict campaignIsRunning while another run of the campaign is open, campaignWasSent when
 * a call for an earlier run has left: scheduling it again would send to the same people again.
 * @throws forbidden tenantSuspended
 */
export async function createRun(
  trx: Knex.Transaction,
  run: {
    id: string;
    tenantId: string;
    campaignId: string;
    channel: Channel;
    contentVersion: number;
    audience: Audience;
    schedule: Schedule;
    doubtPolicy?: DoubtPolicy;
    doubtDeadlineMs?: number;
    actor: Actor;
  },
): Promise<CampaignRun> {
  if (await isTenantSuspended(trx, run.tenantId)) {
    throw new AppError('forbidden', 'tenantSuspended', 'This tenant is suspended; ask support.');
  }
  const locked = await trx.raw(
    `select c.name, r.state from campaigns c
       left join campaign_runs r on r.id = c.current_run_id
      where c.tenant_id = ? and c.id = ? for update of c`,
    [run.tenantId, run.campaignId],
  );
  const campaign: { name: string; state: RunState | null } | undefined = locked.rows[0];
  if (campaign === undefined) {
    throw notFound('campaign');
  }
  if (campaign.state !== null && runIsOpen[campaign.state]) {
    throw conflict('campaignIsRunning', 'The campaign is scheduled or sending already.');
  }
  const sent = await trx.raw(
    `select 1 from campaign_runs r
      where r.tenant_id = ? and r.campaign_id = ?
        and exists (select 1 from dispatch_attempts a where a.run_id = r.id) limit 1`,
    [run.tenantId, run.campaignId],
  );
  if (sent.rows.length > 0) {
    throw conflict(
      'campaignWasSent',
      'Messages of this campaign have left; copy it to send again.',
    );
  }
  const inserted = await trx.raw(
    `insert into campaign_runs (id, tenant_id, campaign_id, n, channel, content_version, audience,
       campaign_name, schedule, state, doubt_policy, doubt_deadline_ms, created_by)
     select :id, :tenantId, :campaignId, coalesce(max(n), 0) + 1, :channel, :contentVersion,
       :audience, :campaignName, :schedule, 'planning', :doubtPolicy, :doubtDeadlineMs, :createdBy
       from campaign_runs where tenant_id = :tenantId and campaign_id = :campaignId
     returning ${runColumns}`,
    {
      id: run.id,
      tenantId: run.tenantId,
      campaignId: run.campaignId,
      channel: run.channel,
      contentVersion: run.contentVersion,
      audience: JSON.stringify(run.audience),
      campaignName: campaign.name,
      schedule: JSON.stringify(run.schedule),
      doubtPolicy: run.doubtPolicy ?? 'hold',
      doubtDeadlineMs: run.doubtDeadlineMs ?? 24 * 3_600_000,
      createdBy: run.actor.id,
    },
  );
  await trx.raw(
    `update campaigns set current_run_id = ?, version = version + 1, updated_at = now()
      where tenant_id = ? and id = ?`,
    [run.id, run.tenantId, run.campaignId],
  );
  await logCampaign(trx, {
    tenantId: run.tenantId,
    campaignId: run.campaignId,
    runId: run.id,
    kind: 'scheduled',
    actor: run.actor,
    detail: { schedule: run.schedule },
  });
  return inserted.rows[0];
}

/** The run, or notFound. */
export async function getRun(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<CampaignRun> {
  const found = await trx.raw(
    `select ${runColumns} from campaign_runs where tenant_id = ? and id = ?`,
    [tenantId, runId],
  );
  if (found.rows[0] === undefined) {
    throw notFound('run');
  }
  return found.rows[0];
}

/** The run, kept from every other writer until the transaction ends; or notFound. */
export async function lockRun(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<CampaignRun> {
  await trx.raw('select id from campaign_runs where tenant_id = ? and id = ? for update', [
    tenantId,
    runId,
  ]);
  return getRun(trx, tenantId, runId);
}

/**
 * Opens, pauses or closes the gate: from the commit on no new call leaves unless it is open. A
 * closed gate never opens again, a run that has ended is left as it is, and nobody opens one of a
 * tenant that is suspended.
 */
export async function setGate(
  trx: Knex.Transaction,
  change: {
    tenantId: string;
    runId: string;
    gate: Gate;
    reason: string | null;
    actor: Actor;
    /** Only if nobody has steered it since this was read. */
    ifSteering?: number;
  },
): Promise<{ run: CampaignRun; changed: boolean }> {
  if (change.gate === 'open' && (await isTenantSuspended(trx, change.tenantId))) {
    return { run: await getRun(trx, change.tenantId, change.runId), changed: false };
  }
  const updated = await trx.raw(
    `update campaign_runs
        set gate = :gate, gate_reason = :reason, steered_at = clock_timestamp(), updated_at = now()
      where tenant_id = :tenantId and id = :runId and gate <> :gate and gate <> 'closed'
        and state in ('planning', 'waiting', 'sending')
        and (cast(:ifSteering as bigint) is null
          or coalesce((extract(epoch from steered_at) * 1000000)::bigint, 0) = :ifSteering)
     returning ${runColumns}`,
    {
      gate: change.gate,
      reason: change.reason,
      ifSteering: change.ifSteering ?? null,
      tenantId: change.tenantId,
      runId: change.runId,
    },
  );
  const run: CampaignRun | undefined = updated.rows[0];
  if (run === undefined) {
    return { run: await getRun(trx, change.tenantId, change.runId), changed: false };
  }
  await logCampaign(trx, {
    tenantId: run.tenantId,
    campaignId: run.campaignId,
    runId: run.id,
    kind: gateLogKind[change.gate],
    actor: change.actor,
    detail: change.reason === null ? {} : { reason: change.reason },
  });
  return { run, changed: true };
}

const gateLogKind: Record<Gate, string> = {
  open: 'resumed',
  paused: 'paused',
  closed: 'cancelRequested',
};

/**
 * Stores a new schedule and raises the plan version: from the commit on no call of the old plan
 * leaves. Moving what is planned to its new waves is the workflow's business.
 *
 * @throws conflict runHasEnded when there is nothing left to move.
 */
export async function requestReschedule(
  trx: Knex.Transaction,
  change: { tenantId: string; runId: string; schedule: Schedule; actor: Actor },
): Promise<CampaignRun> {
  const updated = await trx.raw(
    `update campaign_runs
        set schedule = :schedule, plan_version = plan_version + 1,
            steered_at = clock_timestamp(), updated_at = now()
      where tenant_id = :tenantId and id = :runId and gate <> 'closed'
        and state in ('planning', 'waiting', 'sending')
     returning ${runColumns}`,
    {
      schedule: JSON.stringify(change.schedule),
      tenantId: change.tenantId,
      runId: change.runId,
    },
  );
  const run: CampaignRun | undefined = updated.rows[0];
  if (run === undefined) {
    throw conflict('runHasEnded', 'The campaign is not scheduled or sending any more.');
  }
  await logCampaign(trx, {
    tenantId: run.tenantId,
    campaignId: run.campaignId,
    runId: run.id,
    kind: 'rescheduled',
    actor: change.actor,
    detail: { schedule: change.schedule, planVersion: run.planVersion },
  });
  return run;
}

/** Notes that the run's workflow has been started, so that the reconciler leaves it alone. */
export async function markWorkflowStarted(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<void> {
  await trx.raw(
    `update campaign_runs set workflow_started_at = now()
      where tenant_id = ? and id = ? and workflow_started_at is null`,
    [tenantId, runId],
  );
}

/** The run as it is steered now, and a note that its workflow has seen it. */
export async function seeSteering(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<CampaignRun> {
  await trx.raw(
    `update campaign_runs set steering_seen_at = clock_timestamp()
      where tenant_id = ? and id = ? and steered_at > coalesce(steering_seen_at, '-infinity')`,
    [tenantId, runId],
  );
  return getRun(trx, tenantId, runId);
}

/** The first slice of a run turns waiting into sending; later ones change nothing. */
export async function markSending(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<void> {
  await trx.raw(
    `with waiting as (
       -- Whom another lane has locked is being marked by it.
       select id from campaign_runs
        where tenant_id = :tenantId and id = :runId and state = 'waiting' and gate = 'open'
        for update skip locked
     ), started as (
       update campaign_runs set state = 'sending', updated_at = now()
        where id in (select id from waiting)
       returning tenant_id, campaign_id, id
     )
     insert into campaign_log (id, tenant_id, campaign_id, run_id, kind, actor_kind)
     select gen_random_uuid(), tenant_id, campaign_id, id, 'sendingStarted', 'system' from started`,
    { tenantId, runId },
  );
}

/** Ends a run in a final state, once. The gate is closed with it. */
export async function endRun(
  trx: Knex.Transaction,
  end: {
    tenantId: string;
    runId: string;
    state: 'completed' | 'cancelled' | 'failed';
    failure?: string;
    actor: Actor;
  },
): Promise<boolean> {
  const updated = await trx.raw(
    `update campaign_runs
        set state = :state, gate = 'closed', failure = :failure, completed_at = now(),
            updated_at = now()
      where tenant_id = :tenantId and id = :runId and state in ('planning', 'waiting', 'sending')
     returning campaign_id as "campaignId"`,
    {
      state: end.state,
      failure: end.failure ?? null,
      tenantId: end.tenantId,
      runId: end.runId,
    },
  );
  const run: { campaignId: string } | undefined = updated.rows[0];
  if (run === undefined) {
    return false;
  }
  await settleRunQuota(trx, { tenantId: end.tenantId, id: end.runId });
  await logCampaign(trx, {
    tenantId: end.tenantId,
    campaignId: run.campaignId,
    runId: end.runId,
    kind: end.state,
    actor: end.actor,
    detail: end.failure === undefined ? {} : { reason: end.failure },
  });
  return true;
}
