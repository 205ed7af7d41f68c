import { ApplicationFailure, heartbeat } from '@temporalio/activity';
import { plannedLanes } from '../../domain/campaigns/lanes';
import { runIsOpen, type Actor, type Gate } from '../../domain/campaigns/types';
import { planWaves } from '../../domain/campaigns/waves';
import { AppError } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import { withTenant } from '../../models/base';
import { countAudience } from '../../models/campaigns/audience';
import { planRun, readPlan, type SealedPlan } from '../../models/campaigns/planning';
import { holdForPlan } from '../../models/campaigns/heldRuns';
import { replanLate, replanRun } from '../../models/campaigns/replanning';
import {
  endRun,
  getRun,
  lockRun,
  seeSteering,
  setGate,
  type CampaignRun,
} from '../../models/campaigns/runs';
import { reservePlanned } from '../../models/campaigns/runQuota';
import { loadTenantZone } from '../../models/campaigns/tenantZone';
import { countRun, type RunCounts } from '../../models/messages/counts';
import {
  cancelRemaining,
  cancelRestOfWave,
  countOpen,
  settleOverdueDoubts,
} from '../../models/messages/doubt';
import type { ActivityDeps } from '../deps';

export interface RunRef {
  tenantId: string;
  runId: string;
}

/** A wave in a workflow: instants as ISO texts, counts, zone names. */
export interface PlannedWaveRef {
  planVersion: number;
  n: number;
  startsAt: string;
  closesAt: string;
  /** What puts it off, where it would begin earlier. */
  waitsFor?: string | null;
  zones: string[];
  customers: number;
  dispatches: number;
  /** How many lanes work on it; histories of before do not have it. */
  lanes?: number;
}

export interface RunPlan {
  gate: Gate;
  steering: number;
  planVersion: number;
  planned: number;
  leftOut: number;
  waves: PlannedWaveRef[];
}

/** How people have steered a run. */
export interface RunSteering {
  gate: Gate;
  /** Grows with each time somebody steers; an answer with less is out of date. */
  steering: number;
  reason: string | null;
  planVersion: number;
}

/** What is expected of a run before its ledger is written. */
export interface RunEstimate {
  gate: Gate;
  steering: number;
  planVersion: number;
  /** When the ledger is to be written; not after the first wave. */
  planAt: string;
  firstWaveAt: string | null;
  /** What puts the first wave off. */
  waitsFor?: string | null;
  waves: number;
  customers: number;
}

export interface RunReview {
  gateReason: string | null;
  planned: number;
  held: number;
  inDoubt: number;
  /** When to look again at the latest. */
  lookAgainAt: string | null;
  plan: RunPlan;
  counts: RunCounts;
}

// The audience is fixed this long before the first wave.
const planAheadMs = 30 * 60_000;
const planningBeatMs = 2_000;

/** The records' side of a run; each is safe to run twice, for the reason given at it. */
export function createRunActivities(deps: ActivityDeps) {
  const { db } = deps;
  const planner = deps.planner ?? planWaves;
  return {
    /** Reads only, but for the estimate it stores. */
    estimateRun: ({ tenantId, runId }: RunRef): Promise<RunEstimate> =>
      withTenant(db, tenantId, async (trx) => {
        const run = await getRun(trx, tenantId, runId);
        const now = new Date();
        if (run.planSealedAt !== null) {
          // A new history of a run whose ledger is there has nothing to wait for.
          return {
            ...steeringOf(run),
            planAt: now.toISOString(),
            firstWaveAt: null,
            waves: 0,
            customers: 0,
          };
        }
        const count = await countAudience(trx, tenantId, run.channel, run.audience);
        const plan = planner({
          spec: run.schedule,
          groups: count.groups,
          tenantZone: await loadTenantZone(trx, tenantId),
          now,
        });
        const first = plan.waves[0]?.startsAt ?? null;
        const planAtMs = Math.max((first ?? now).getTime() - planAheadMs, now.getTime());
        return {
          gate: run.gate,
          steering: run.steering,
          planVersion: run.planVersion,
          planAt: new Date(planAtMs).toISOString(),
          firstWaveAt: first?.toISOString() ?? null,
          waitsFor: plan.waves[0]?.waitsFor ?? null,
          waves: plan.waves.length,
          customers: plan.waves.reduce((sum, wave) => sum + wave.customers, 0),
        };
      }),

    /**
     * Once: a second attempt finds the seal and answers the stored counts. Null when the run has been
     * rescheduled since its estimate: then it may be much too early.
     */
    async planAudience({
      tenantId,
      runId,
      planVersion,
    }: RunRef & { planVersion: number }): Promise<RunPlan | null> {
      let written = 0;
      const beat = () => heartbeat({ doing: 'writing the plan', planned: written });
      // A zone of a million takes longer than anybody should wait for a worker that is gone.
      const beating = setInterval(beat, planningBeatMs);
      try {
        const plan = await withTenant(
          db,
          tenantId,
          async (trx) => {
            const run = await getRun(trx, tenantId, runId);
            if (run.planSealedAt === null && run.planVersion !== planVersion) {
              return null;
            }
            return planRun(trx, {
              tenantId,
              runId,
              now: new Date(),
              planner,
              onProgress: (planned) => {
                written = planned;
              },
            });
          },
          { isolationLevel: 'repeatable read' },
        );
        // Not in the same transaction: its snapshot is of before what others used meanwhile.
        return plan === null
          ? null
          : await withTenant(db, tenantId, async (trx) => {
              const isHeld = await holdBeyondPlan(trx, { tenantId, runId });
              return toRunPlan(
                isHeld ? await readPlan(trx, await getRun(trx, tenantId, runId)) : plan,
              );
            });
      } finally {
        clearInterval(beating);
      }
    },

    /** Moves only what is still planned in an older version, so a repetition finds nothing to move. */
    replan: ({ tenantId, runId }: RunRef): Promise<RunPlan> =>
      withTenant(db, tenantId, async (trx) =>
        toRunPlan(await replanRun(trx, { tenantId, runId, now: new Date(), planner })),
      ),

    /** Reads only. */
    readRunPlan: ({ tenantId, runId }: RunRef): Promise<RunPlan> =>
      withTenant(db, tenantId, async (trx) =>
        toRunPlan(await readPlan(trx, await getRun(trx, tenantId, runId))),
      ),

    /** Moves only what is still planned in the closed wave, so a repetition finds nothing to move. */
    replanLateWave: (wave: RunRef & { planVersion: number; waveN: number }): Promise<RunPlan> =>
      withTenant(db, wave.tenantId, async (trx) =>
        toRunPlan(await replanLate(trx, { ...wave, now: new Date(), planner })),
      ),

    /**
     * A gate that stands as asked is left alone and not logged again; one that was steered since
     * `ifSteering` was read is somebody else's by now, so a late repetition undoes nothing.
     */
    setRunGate: (
      change: RunRef & {
        gate: Gate;
        reason: string | null;
        actor: Actor;
        ifSteering?: number;
      },
    ): Promise<RunSteering> =>
      withTenant(db, change.tenantId, async (trx) => {
        await setGate(trx, change);
        return steeringOf(await seeSteering(trx, change.tenantId, change.runId));
      }),

    /** Reads, and notes that it was read. */
    readSteering: ({ tenantId, runId }: RunRef): Promise<RunSteering> =>
      withTenant(db, tenantId, async (trx) => steeringOf(await seeSteering(trx, tenantId, runId))),

    /** Applies what is overdue by policy and by lease; what is settled already is not touched. */
    reviewRun: ({ tenantId, runId }: RunRef): Promise<RunReview> =>
      withTenant(db, tenantId, async (trx) => {
        const before = await getRun(trx, tenantId, runId);
        await settleOverdueDoubts(trx, {
          tenantId,
          runId,
          windowMinutes: before.schedule.windowMinutes ?? 60,
        });
        // What came back to planned after its plan was replaced belongs to the newest one.
        const plan = await replanRun(trx, { tenantId, runId, now: new Date(), planner });
        const run = await getRun(trx, tenantId, runId);
        const open = await countOpen(trx, tenantId, runId);
        const next = [open.nextDoubtAt, open.nextLeaseAt].filter((at) => at !== null);
        return {
          gateReason: run.gateReason,
          planned: open.planned,
          held: open.held,
          inDoubt: open.inDoubt,
          lookAgainAt:
            next.length === 0
              ? null
              : new Date(Math.min(...next.map((at) => at.getTime()))).toISOString(),
          plan: toRunPlan(plan),
          counts: await countRun(trx, tenantId, runId),
        };
      }),

    /** Everyone whose lease is over is released first; what is cancelled stays cancelled. */
    cancelRest: ({ tenantId, runId }: RunRef): Promise<number> =>
      withTenant(db, tenantId, (trx) => cancelRemaining(trx, tenantId, runId)),

    /**
     * The same for one wave alone, whose window ends with it. Lanes of other waves may hold some of it:
     * fails, to be tried again, until they have let go.
     */
    cancelWave: async (wave: RunRef & { planVersion: number; waveN: number }): Promise<number> => {
      const ended = await withTenant(db, wave.tenantId, (trx) => cancelRestOfWave(trx, wave));
      if (ended.open > 0) {
        throw ApplicationFailure.retryable('Calls of this wave are under way.', 'WaveStillCalling');
      }
      return ended.cancelled;
    },

    /** Only an open run ends, so the first ending stays. */
    finishRun: (
      end: RunRef & { state: 'completed' | 'cancelled' | 'failed'; failure?: string; actor: Actor },
    ): Promise<RunCounts> =>
      withTenant(db, end.tenantId, async (trx) => {
        const open = await countOpen(trx, end.tenantId, end.runId);
        if (end.state === 'completed' && open.planned + open.held + open.inDoubt > 0) {
          throw ApplicationFailure.nonRetryable(
            'A run with open dispatches cannot be completed.',
            'RunStillOpen',
          );
        }
        await endRun(trx, end);
        return countRun(trx, end.tenantId, end.runId);
      }),
  };
}

export type RunActivities = ReturnType<typeof createRunActivities>;

/** Pauses a run that would send more than its tenant's plan has left; answers whether it did. */
async function holdBeyondPlan(
  trx: Knex.Transaction,
  { tenantId, runId }: RunRef,
): Promise<boolean> {
  const run = await lockRun(trx, tenantId, runId);
  if (!runIsOpen[run.state]) {
    return false;
  }
  try {
    await reservePlanned(trx, run);
    return false;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'quotaReached') {
      throw error;
    }
    return holdForPlan(trx, { tenantId, runId });
  }
}

function steeringOf(run: CampaignRun): RunSteering {
  return {
    gate: run.gate,
    steering: run.steering,
    reason: run.gateReason,
    planVersion: run.planVersion,
  };
}

function toRunPlan(plan: SealedPlan): RunPlan {
  return {
    gate: plan.gate,
    steering: plan.steering,
    planVersion: plan.planVersion,
    planned: plan.planned,
    leftOut: Object.values(plan.leftOut).reduce((sum, customers) => sum + customers, 0),
    waves: plan.waves.map((wave) => ({
      ...wave,
      startsAt: wave.startsAt.toISOString(),
      closesAt: wave.closesAt.toISOString(),
      lanes: plannedLanes(wave),
    })),
  };
}
