import type { Knex } from 'knex';
import { batchSize, type Gate } from '../../domain/campaigns/types';
import {
  planWaves,
  type PlannedWave,
  type WavePlan,
  type WaveSpec,
} from '../../domain/campaigns/waves';
import { audienceBindings, countAudience, inAudience, leftOutReason } from './audience';
import { logCampaign } from './log';
import { getRun, type CampaignRun } from './runs';
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
  zones: string[];
  customers: number;
  dispatches: number;
}

export interface SealedPlan {
  gate: Gate;
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
  await trx.raw('select id from campaign_runs where tenant_id = ? and id = ? for update', [
    tenantId,
    runId,
  ]);
  const run = await getRun(trx, tenantId, runId);
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

  let dispatchN = 1;
  let messageN = 1;
  for (const [zone, waveN] of plan.zoneWave) {
    const messages = await insertMessages(trx, run, zone, dispatchN, messageN);
    const dispatches = await insertDispatches(trx, run, {
      zone,
      waveN,
      dispatchN,
      messageN,
      messages,
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
            next_dispatch_n = :dispatchN, next_message_n = :messageN,
            starts_at = :startsAt, updated_at = now()
      where tenant_id = :tenantId and id = :runId`,
    {
      leftOut: JSON.stringify(leftOut),
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

/** The newest plan version's waves that still have something open, with what they hold. */
export async function readPlan(trx: Knex.Transaction, run: CampaignRun): Promise<SealedPlan> {
  const waves = await trx.raw(
    `select w.plan_version as "planVersion", w.n, w.starts_at as "startsAt",
            w.closes_at as "closesAt", w.time_zones as zones, w.planned_count as customers,
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
    planVersion: run.planVersion,
    planned: total.rows[0].planned,
    leftOut: run.leftOut,
    waves: waves.rows,
  };
}

/**
 * Moves everything still planned to the waves of the run's newest schedule. Message rows are not
 * touched. Calling it again moves what has come back to `planned` since and answers the same waves.
 */
export async function replanRun(
  trx: Knex.Transaction,
  input: { tenantId: string; runId: string; now: Date; planner?: WavePlanner },
): Promise<SealedPlan> {
  const { tenantId, runId } = input;
  await trx.raw('select id from campaign_runs where tenant_id = ? and id = ? for update', [
    tenantId,
    runId,
  ]);
  const run = await getRun(trx, tenantId, runId);
  const stragglers = await trx.raw(
    `select time_zone as zone, sum(message_count) as customers from dispatches
      where run_id = ? and state = 'planned' and plan_version < ? group by time_zone`,
    [runId, run.planVersion],
  );
  const groups: { zone: string; customers: number }[] = stragglers.rows;
  if (groups.length > 0) {
    await placeDispatches(trx, run, {
      groups,
      now: input.now,
      planner: input.planner ?? planWaves,
      kind: 'planned',
      which: 'plan_version < :planVersion',
    });
  }
  return readPlan(trx, run);
}

/**
 * A wave has closed with dispatches left: by the run's policy they go out in a new wave (now, or at
 * the next local hour) or end as expired. Answers the plan with the new waves in it.
 */
export async function replanLate(
  trx: Knex.Transaction,
  input: {
    tenantId: string;
    runId: string;
    planVersion: number;
    waveN: number;
    now: Date;
    planner?: WavePlanner;
  },
): Promise<SealedPlan> {
  const { tenantId, runId } = input;
  await trx.raw('select id from campaign_runs where tenant_id = ? and id = ? for update', [
    tenantId,
    runId,
  ]);
  const run = await getRun(trx, tenantId, runId);
  if (run.planVersion !== input.planVersion || run.gate === 'closed') {
    return readPlan(trx, run);
  }
  const late = await trx.raw(
    `select time_zone as zone, sum(message_count) as customers from dispatches
      where run_id = ? and state = 'planned' and plan_version = ? and wave_n = ? group by time_zone`,
    [runId, input.planVersion, input.waveN],
  );
  const groups: { zone: string; customers: number }[] = late.rows;
  if (groups.length > 0) {
    await placeDispatches(trx, run, {
      groups,
      now: input.now,
      planner: input.planner ?? planWaves,
      kind: 'late',
      which: 'plan_version = :planVersion and d.wave_n = :waveN',
      waveN: input.waveN,
    });
  }
  return readPlan(trx, run);
}

/** Gives planned dispatches, by zone, new waves of the run's plan version; without one they expire. */
async function placeDispatches(
  trx: Knex.Transaction,
  run: CampaignRun,
  move: {
    groups: { zone: string; customers: number }[];
    now: Date;
    planner: WavePlanner;
    kind: 'planned' | 'late';
    which: string;
    waveN?: number;
  },
): Promise<void> {
  const plan = move.planner({
    spec: lateSpec(run.schedule, move.kind),
    groups: move.groups.map((group) => ({ ...group, zone: group.zone === '' ? null : group.zone })),
    tenantZone: await loadTenantZone(trx, run.tenantId),
    now: move.now,
  });
  const offset = await nextWaveN(trx, run);
  await insertWaves(
    trx,
    run,
    run.planVersion,
    plan.waves.map((wave) => ({ ...wave, n: wave.n + offset })),
    move.kind,
  );
  const zones = [...plan.zoneWave.keys()];
  await trx.raw(
    `update dispatches d
        set plan_version = :planVersion, wave_n = placed.wave_n, not_before = null, wait_reason = null
       from unnest(cast(:zones as text[]), cast(:waveNs as int[])) as placed (zone, wave_n)
      where d.run_id = :runId and d.state = 'planned' and d.time_zone = placed.zone and d.${move.which}`,
    {
      planVersion: run.planVersion,
      zones: zones.map((zone) => zone ?? ''),
      waveNs: zones.map((zone) => (plan.zoneWave.get(zone) ?? 0) + offset),
      runId: run.id,
      ...(move.waveN === undefined ? {} : { waveN: move.waveN }),
    },
  );
  const over = [...plan.zoneLeftOut];
  await trx.raw(
    `update dispatches d set state = 'expired', settled_at = now(), reason = over.reason
       from unnest(cast(:zones as text[]), cast(:reasons as text[])) as over (zone, reason)
      where d.run_id = :runId and d.state = 'planned' and d.time_zone = over.zone
        and d.${move.which}`,
    {
      planVersion: run.planVersion,
      zones: over.map(([zone]) => zone ?? ''),
      reasons: over.map(([, reason]) => reason),
      runId: run.id,
      ...(move.waveN === undefined ? {} : { waveN: move.waveN }),
    },
  );
}

/** What is late is only ever placed anew: a past instant means now, or not at all. */
function lateSpec(schedule: WaveSpec, kind: 'planned' | 'late'): WaveSpec {
  return schedule.kind === 'localHour' || kind === 'planned'
    ? schedule
    : { ...schedule, kind: 'now' };
}

async function nextWaveN(trx: Knex.Transaction, run: CampaignRun): Promise<number> {
  const found = await trx.raw(
    'select coalesce(max(n), 0) as n from waves where run_id = ? and plan_version = ?',
    [run.id, run.planVersion],
  );
  return found.rows[0].n;
}

async function insertWaves(
  trx: Knex.Transaction,
  run: CampaignRun,
  planVersion: number,
  waves: PlannedWave[],
  kind: 'planned' | 'late' | 'again',
): Promise<void> {
  if (waves.length === 0) {
    return;
  }
  await trx('waves').insert(
    waves.map((wave) => ({
      run_id: run.id,
      plan_version: planVersion,
      n: wave.n,
      tenant_id: run.tenantId,
      kind,
      starts_at: wave.startsAt,
      closes_at: wave.closesAt,
      time_zones: wave.zones,
      planned_count: wave.customers,
    })),
  );
}

async function insertMessages(
  trx: Knex.Transaction,
  run: CampaignRun,
  zone: string | null,
  dispatchN: number,
  messageN: number,
): Promise<number> {
  const inserted = await trx.raw(
    `with inserted as (
       insert into messages (run_id, n, tenant_id, dispatch_n, customer_id, channel)
       select :runId, :messageN + position, :tenantId,
              :dispatchN + position / :batchSize, customer_id, :channel
         from (
           select c.id as customer_id, (row_number() over (order by c.id) - 1)::int as position
             from customers c
             left join suppressions s on s.tenant_id = c.tenant_id and s.channel = :channel
               and s.address = lower(c.email)
            where c.tenant_id = :tenantId and c.time_zone is not distinct from :zone
              and ${inAudience} and (${leftOutReason}) is null
         ) audience
       returning 1
     )
     select count(*) as messages from inserted`,
    {
      ...audienceBindings(run.tenantId, run.channel, run.audience),
      runId: run.id,
      messageN,
      dispatchN,
      batchSize: batchSize[run.channel],
      zone,
    },
  );
  return inserted.rows[0].messages;
}

async function insertDispatches(
  trx: Knex.Transaction,
  run: CampaignRun,
  range: {
    zone: string | null;
    waveN: number;
    dispatchN: number;
    messageN: number;
    messages: number;
  },
): Promise<number> {
  const size = batchSize[run.channel];
  const dispatches = Math.ceil(range.messages / size);
  await trx.raw(
    `insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n,
       first_message_n, last_message_n, message_count)
     select :runId, :dispatchN + i, :tenantId, :zone, :planVersion, :waveN,
            :messageN + i * :size,
            :messageN + least((i + 1) * :size, :messages) - 1,
            least((i + 1) * :size, :messages) - i * :size
       from generate_series(0, :dispatches - 1) as i`,
    {
      runId: run.id,
      dispatchN: range.dispatchN,
      tenantId: run.tenantId,
      zone: range.zone ?? '',
      planVersion: run.planVersion,
      waveN: range.waveN,
      messageN: range.messageN,
      size,
      messages: range.messages,
      dispatches,
    },
  );
  return dispatches;
}
