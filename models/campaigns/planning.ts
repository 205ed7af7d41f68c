import type { Knex } from 'knex';
import type { Gate } from '../../domain/campaigns/types';
import { mostPerCall } from '../../domain/messages/accounts/types';
import { messagesPerDispatch } from '../../domain/messages/rateLimits';
import { conflict } from '../../domain/errors';
import {
  planWaves,
  type WavePlan,
  type WaveSpec,
  type WaveWait,
} from '../../domain/campaigns/waves';
import { resolveAccount, type ResolvedAccount } from '../messages/accounts';
import { listLimits } from '../messages/accountLimits';
import { countAudience } from './audience';
import { logCampaign } from './log';
import { insertDispatches, insertMessages, insertWaves } from './planRows';
import { getRun, lockRun, type CampaignRun } from './runs';
import { loadTenantZone } from './tenantZone';

/** Turns zones into waves; replaced only where a test or a benchmark needs instants close together. */
export type WavePlanner = (input: {
  spec: WaveSpec;
  groups: { zone: string | null; customers: number }[];
  tenantZone: string;
  now: Date;
}) => WavePlan;

/** A wave as the workflow knows it: an instant and counts, no customers. */
export interface WaveSummary {
  planVersion: number;
  n: number;
  startsAt: Date;
  closesAt: Date;
  /** What puts it off, where it would begin earlier. */
  waitsFor: WaveWait | null;
  zones: string[];
  customers: number;
  dispatches: number;
}

export interface SealedPlan {
  gate: Gate;
  steering: number;
  planVersion: number;
  planned: number;
  leftOut: Record<string, number>;
  waves: WaveSummary[];
}

/**
 * Writes the ledger of a run in one sealed REPEATABLE READ transaction: every message, its dispatch
 * and the waves. A second call finds the seal and answers what the first one wrote; a call that is
 * killed leaves nothing. `onProgress` is called after each zone.
 */
export async function planRun(
  trx: Knex.Transaction,
  input: {
    tenantId: string;
    runId: string;
    now: Date;
    planner?: WavePlanner;
    onProgress?: (planned: number) => void;
  },
): Promise<SealedPlan> {
  const { tenantId, runId } = input;
  const run = await lockRun(trx, tenantId, runId);
  if (run.planSealedAt !== null || run.state !== 'planning') {
    return readPlan(trx, run);
  }
  const count = await countAudience(trx, tenantId, run.channel, run.audience);
  const plan = (input.planner ?? planWaves)({
    spec: run.schedule,
    groups: count.groups,
    tenantZone: await loadTenantZone(trx, tenantId),
    now: input.now,
  });
  await insertWaves(trx, run, run.planVersion, plan.waves, 'planned');

  const account = await requireAccount(trx, run);
  const perDispatch = messagesPerDispatch(await listLimits(trx, account.id), mostPerCall(account));
  let dispatchN = 1;
  let messageN = 1;
  for (const [zone, waveN] of plan.zoneWave) {
    const messages = await insertMessages(trx, run, { zone, dispatchN, messageN, perDispatch });
    const dispatches = await insertDispatches(trx, run, {
      zone,
      waveN,
      dispatchN,
      messageN,
      messages,
      perDispatch,
    });
    messageN += messages;
    dispatchN += dispatches;
    input.onProgress?.(messageN - 1);
  }
  const leftOut: Record<string, number> = { ...count.leftOut };
  for (const [reason, customers] of Object.entries(plan.leftOut)) {
    if (customers > 0) {
      leftOut[reason] = customers;
    }
  }
  await trx.raw(
    `update campaign_runs
        set plan_sealed_at = clock_timestamp(), state = 'waiting', left_out = :leftOut,
            account_id = :accountId,
            next_dispatch_n = :dispatchN, next_message_n = :messageN,
            starts_at = :startsAt, updated_at = now()
      where tenant_id = :tenantId and id = :runId`,
    {
      leftOut: JSON.stringify(leftOut),
      accountId: account.id,
      dispatchN,
      messageN,
      startsAt: plan.waves[0]?.startsAt ?? null,
      tenantId,
      runId,
    },
  );
  await logCampaign(trx, {
    tenantId,
    campaignId: run.campaignId,
    runId,
    kind: 'planned',
    actor: { kind: 'system', id: null },
    detail: { planned: messageN - 1, waves: plan.waves.length, leftOut },
  });
  return readPlan(trx, await getRun(trx, tenantId, runId));
}

async function requireAccount(
  trx: Knex.Transaction,
  { tenantId, channel }: CampaignRun,
): Promise<ResolvedAccount> {
  const account = await resolveAccount(trx, tenantId, channel);
  if (account === null) {
    throw conflict('noProviderAccount', `There is no account by which ${channel} could leave.`);
  }
  return account;
}

/** The newest plan version's waves that still have something open, with what they hold. */
export async function readPlan(trx: Knex.Transaction, run: CampaignRun): Promise<SealedPlan> {
  const waves = await trx.raw(
    `select w.plan_version as "planVersion", w.n, w.starts_at as "startsAt",
            w.closes_at as "closesAt", w.waits_for as "waitsFor", w.time_zones as zones, w.planned_count as customers,
            count(d.n) as dispatches
       from waves w
       join dispatches d on d.run_id = w.run_id and d.plan_version = w.plan_version
        and d.wave_n = w.n and d.state in ('planned', 'claimed', 'calling')
      where w.run_id = ? and w.plan_version = ?
      group by w.run_id, w.plan_version, w.n
      order by w.n`,
    [run.id, run.planVersion],
  );
  const total = await trx.raw(
    `select coalesce(sum(message_count), 0) as planned from dispatches
      where run_id = ? and state <> 'split'`,
    [run.id],
  );
  return {
    gate: run.gate,
    steering: run.steering,
    planVersion: run.planVersion,
    planned: total.rows[0].planned,
    leftOut: run.leftOut,
    waves: waves.rows,
  };
}
