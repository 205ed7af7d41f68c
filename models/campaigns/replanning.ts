import type { Knex } from 'knex';
import { planWaves, type PlannedWave, type WaveSpec } from '../../domain/campaigns/waves';
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
  await placeDispatches(trx, run, {
    now: input.now,
    planner: input.planner ?? planWaves,
    kind: 'planned',
    which: 'd.plan_version < :planVersion',
  });
  return readPlan(trx, run);
}

/**
 * A wave has closed with dispatches left: by the run's policy they go out in a new wave (now, or at
 * the next local hour; whom a cap keeps back, when it is over) or end as expired. Answers the plan with the new waves in it.
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
  await placeDispatches(trx, run, {
    now: input.now,
    planner: input.planner ?? planWaves,
    kind: 'late',
    which: 'd.plan_version = :planVersion and d.wave_n = :waveN',
    waveN: input.waveN,
  });
  return readPlan(trx, run);
}

interface Move {
  now: Date;
  planner: WavePlanner;
  kind: 'planned' | 'late';
  /** Which of the run's dispatches. */
  which: string;
  waveN?: number;
}

/** Dispatches of one zone that may not leave before the same instant; null is now. */
interface Group {
  zone: string;
  from: Date | null;
  customers: number;
}

/** Gives planned dispatches, by zone, new waves of the run's plan version; without one they expire. */
async function placeDispatches(trx: Knex.Transaction, run: CampaignRun, move: Move): Promise<void> {
  const bindings = {
    runId: run.id,
    planVersion: run.planVersion,
    now: move.now,
    ...(move.waveN === undefined ? {} : { waveN: move.waveN }),
  };
  const isMoved = `d.run_id = :runId and d.state = 'planned' and ${move.which}`;
  // By the hour, so that a cap that ends for each customer at another second makes no wave for each.
  const from =
    move.kind === 'late'
      ? `case when d.wait_reason = 'frequencyCap' and d.not_before > :now
           then date_trunc('hour', d.not_before, 'UTC') + interval '1 hour' end`
      : 'cast(null as timestamptz)';
  const found = await trx.raw(
    `select d.time_zone as zone, ${from} as "from", sum(d.message_count) as customers
       from dispatches d where ${isMoved} group by 1, 2 order by 2 nulls first, 1`,
    bindings,
  );
  const groups: Group[] = found.rows;
  if (groups.length === 0) {
    return;
  }
  const { waves, placed, over } = placeGroups(groups, {
    spec: lateSpec(run.schedule, move.kind),
    tenantZone: await loadTenantZone(trx, run.tenantId),
    now: move.now,
    planner: move.planner,
    wavesBefore: await countPlanWaves(trx, run),
  });
  await insertWaves(trx, run, run.planVersion, waves, move.kind);
  await trx.raw(
    `update dispatches d
        set plan_version = :planVersion, wave_n = placed.wave_n, not_before = null, wait_reason = null
       from unnest(cast(:zones as text[]), cast(:froms as timestamptz[]), cast(:waveNs as int[]))
              as placed (zone, "from", wave_n)
      where ${isMoved} and d.time_zone = placed.zone and ${from} is not distinct from placed."from"`,
    {
      ...bindings,
      zones: placed.map(({ group }) => group.zone),
      froms: placed.map(({ group }) => group.from),
      waveNs: placed.map(({ waveN }) => waveN),
    },
  );
  await trx.raw(
    `update dispatches d set state = 'expired', settled_at = now(), reason = over.reason
       from unnest(cast(:zones as text[]), cast(:froms as timestamptz[]), cast(:reasons as text[]))
              as over (zone, "from", reason)
      where ${isMoved} and d.time_zone = over.zone and ${from} is not distinct from over."from"`,
    {
      ...bindings,
      zones: over.map(({ group }) => group.zone),
      froms: over.map(({ group }) => group.from),
      reasons: over.map(({ reason }) => reason),
    },
  );
}

/** The waves of all groups, those of one window as one, and what has none. */
function placeGroups(
  groups: Group[],
  by: {
    spec: WaveSpec;
    tenantZone: string;
    now: Date;
    planner: WavePlanner;
    wavesBefore: number;
  },
): {
  waves: PlannedWave[];
  placed: { group: Group; waveN: number }[];
  over: { group: Group; reason: string }[];
} {
  const waves: PlannedWave[] = [];
  const placed: { group: Group; waveN: number }[] = [];
  const over: { group: Group; reason: string }[] = [];
  for (const fromMs of new Set(groups.map(({ from }) => from?.getTime() ?? null))) {
    const together = groups.filter(({ from }) => (from?.getTime() ?? null) === fromMs);
    const plan = by.planner({
      spec: by.spec,
      groups: together.map(({ zone, customers }) => ({ zone: zoneOf(zone), customers })),
      tenantZone: by.tenantZone,
      now: fromMs === null ? by.now : new Date(fromMs),
    });
    const added = plan.waves.map((wave) =>
      fromMs === null ? wave : { waitsFor: 'frequencyCap' as const, ...wave },
    );
    const nOf = addWaves(waves, added, by.wavesBefore);
    for (const group of together) {
      const n = plan.zoneWave.get(zoneOf(group.zone));
      const reason = plan.zoneLeftOut.get(zoneOf(group.zone));
      if (n !== undefined) {
        placed.push({ group, waveN: nOf.get(n) ?? 0 });
      } else {
        // No wave for nobody: all messages of these dispatches have moved to others.
        over.push({ group, reason: reason ?? 'everyoneLeftOut' });
      }
    }
  }
  return { waves, placed, over };
}

/** Adds waves to others, into those of the same window; answers what number each has then. */
function addWaves(
  waves: PlannedWave[],
  added: PlannedWave[],
  wavesBefore: number,
): Map<number, number> {
  const nOf = new Map<number, number>();
  for (const wave of added) {
    const same = waves.find(
      (other) =>
        other.startsAt.getTime() === wave.startsAt.getTime() &&
        other.closesAt.getTime() === wave.closesAt.getTime(),
    );
    if (same === undefined) {
      const n = wavesBefore + waves.length + 1;
      waves.push({ ...wave, n });
      nOf.set(wave.n, n);
    } else {
      same.customers += wave.customers;
      same.zones = [...new Set([...same.zones, ...wave.zones])].sort();
      nOf.set(wave.n, same.n);
    }
  }
  return nOf;
}

function zoneOf(stored: string): string | null {
  return stored === '' ? null : stored;
}

/** What is late is only ever placed anew: a past instant means now, or not at all. */
function lateSpec(schedule: WaveSpec, kind: 'planned' | 'late'): WaveSpec {
  return schedule.kind === 'localHour' || kind === 'planned'
    ? schedule
    : { ...schedule, kind: 'now' };
}

async function countPlanWaves(trx: Knex.Transaction, run: CampaignRun): Promise<number> {
  const found = await trx.raw(
    'select coalesce(max(n), 0) as n from waves where run_id = ? and plan_version = ?',
    [run.id, run.planVersion],
  );
  return found.rows[0].n;
}
