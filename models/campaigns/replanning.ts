import type { Knex } from 'knex';
import { planWaves, type WaveSpec } from '../../domain/campaigns/waves';
import { readPlan, type SealedPlan, type WavePlanner } from './planning';
import { insertWaves } from './planRows';
import { lockRun, type CampaignRun } from './runs';
import { loadTenantZone } from './tenantZone';

/**
 * Moves everything still planned to the waves of the run's newest schedule. Message rows are not
 * touched. Calling it again moves what has come back to `planned` since and answers the same waves.
 */
export async function replanRun(
  trx: Knex.Transaction,
  input: { tenantId: string; runId: string; now: Date; planner?: WavePlanner },
): Promise<SealedPlan> {
  const { tenantId, runId } = input;
  const run = await lockRun(trx, tenantId, runId);
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
  const run = await lockRun(trx, tenantId, runId);
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
