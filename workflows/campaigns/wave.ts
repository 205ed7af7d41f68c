import {
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { laneCount } from '../../domain/campaigns/lanes';
import type { Gate } from '../../domain/campaigns/types';
import type { SliceResult } from '../../activities/messages/dispatchSlice';
import type { PlannedWaveRef } from '../../activities/campaigns/runs';
import { records, slices } from '../proxies';
import { summary } from '../summary';
import { gateSignal, heldUpSignal, stopSignal, type DoneByLanes, type HeldUp } from './messages';
import { count, describeWave, describeWaveWait } from './words';

export interface WaveInput {
  tenantId: string;
  runId: string;
  wave: PlannedWaveRef;
  wavesInPlan: number;
  gate: Gate;
  /** How new the gate is. */
  steering: number;
  /** What earlier histories of this wave have done. */
  soFar?: DoneByLanes;
}

/**
 * How a wave ended: `done` when nothing of it is open, else why something is left. The numbers are of
 * what its lanes did, which help other waves of the run when nothing of this one is planned.
 */
export interface WaveResult extends DoneByLanes {
  n: number;
  planVersion: number;
  ended: 'done' | 'closed' | 'stopped' | 'cancelled';
}

// Slices stand ready before the instant and make their first claim at it, by the database's clock:
// so forty waves of one instant do not queue for workflow tasks then.
const readyBeforeMs = 1_500;
const shortestPausedLookMs = 10_000;
const longestPausedLookMs = 5 * 60_000;
const shortestPauseMs = 250;
// What holds a wave up is news for its run when it changes, and after a while.
const tellAgainAfterMs = 60_000;

/**
 * One wave of a run: waits on a timer for its instant, then keeps lanes of slices at work until
 * nothing of it is open or its window is over. Pause and resume arrive as `gate`, reschedule and
 * cancel of the campaign as `stop`; cancelling this workflow cancels what is left of this wave.
 */
export async function campaignWave(input: WaveInput): Promise<WaveResult> {
  const { tenantId, runId, wave } = input;
  const key = { tenantId, runId, planVersion: wave.planVersion, waveN: wave.n };
  const title = describeWave(wave, input.wavesInPlan);
  const closesAtMs = Date.parse(wave.closesAt);
  const result: WaveResult = {
    n: wave.n,
    planVersion: wave.planVersion,
    ended: 'done',
    accepted: input.soFar?.accepted ?? 0,
    refused: input.soFar?.refused ?? 0,
    leftOut: input.soFar?.leftOut ?? 0,
    inDoubt: input.soFar?.inDoubt ?? 0,
  };
  let gate: Gate = input.gate;
  let steering = input.steering;
  let gateChanges = 0;
  let changesHeard = 0;
  let pausedLookMs = shortestPausedLookMs;
  let isStopped = false;
  let running: CancellationScope | null = null;

  setHandler(
    gateSignal,
    (next, nextSteering) => {
      if (nextSteering >= steering) {
        gate = next;
        steering = nextSteering;
        gateChanges += 1;
        pausedLookMs = shortestPausedLookMs;
      }
    },
    { description: 'The campaign was paused or resumed.' },
  );
  setHandler(
    stopSignal,
    () => {
      isStopped = true;
      running?.cancel();
    },
    { description: 'Let the running calls end, start no more and return what is left.' },
  );

  const show = (state: string) =>
    setCurrentDetails(
      `**${title}**\n\n${state}\n\nIts lanes: ${count(result.accepted, 'message')} accepted, ` +
        `${result.refused} refused, ${result.leftOut} left out, ${result.inDoubt} in doubt`,
    );
  const waitUntil = async (atMs: number, text: string, wakes: () => boolean) => {
    const ms = Math.max(atMs - Date.now(), shortestPauseMs);
    await condition(() => isStopped || wakes(), ms, { summary: summary(text) });
  };
  let toldReason: string | null = null;
  let toldAtMs = 0;
  const tellRun = (heldUp: HeldUp): void => {
    const parent = workflowInfo().parent;
    const isNews = heldUp.reason !== toldReason || Date.now() - toldAtMs >= tellAgainAfterMs;
    if (!isNews || parent === undefined || !patched('tellsWhatHoldsItUp')) {
      return;
    }
    toldReason = heldUp.reason;
    toldAtMs = Date.now();
    getExternalWorkflowHandle(parent.workflowId)
      .signal(heldUpSignal, workflowInfo().workflowId, { ...heldUp, done: doneOf(result) })
      .catch(() => {
        // What the run shows is behind then; what is sent is not changed by it.
      });
  };
  const showHeldUp = (slice: SliceResult): void => {
    if (slice.outcome === 'more' && typeof slice.heldUpBy === 'string') {
      show(`Sending, held up by ${slice.heldUpBy}.`);
      tellRun({ reason: slice.heldUpBy, until: null });
    }
  };
  const finish = (ended: WaveResult['ended']): WaveResult => {
    result.ended = ended;
    show(`Ended: ${ended}.`);
    return result;
  };

  try {
    show(`Waits for its instant, ${wave.startsAt}${describeWaveWait(wave.waitsFor)}.`);
    const readyAtMs = Date.parse(wave.startsAt) - readyBeforeMs;
    if (readyAtMs > Date.now()) {
      await waitUntil(readyAtMs, title, () => false);
    }
    while (!isStopped) {
      if (gateChanges !== changesHeard && patched('looksAgainWhenTold')) {
        changesHeard = gateChanges;
        // The run has forgotten what held this wave up.
        toldReason = null;
      }
      if (workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof campaignWave>({
          ...input,
          gate,
          steering,
          soFar: doneOf(result),
        });
      }
      if (gate === 'paused' && Date.now() < closesAtMs) {
        show('Paused.');
        const lookAtMs = Math.min(closesAtMs, Date.now() + pausedLookMs);
        const changesThen = gateChanges;
        await waitUntil(lookAtMs, `Paused. ${title}`, () => gateChanges !== changesThen);
        if (gateChanges === changesThen) {
          // A signal may have been lost, so the records are asked now and then, ever more seldom.
          pausedLookMs = Math.min(pausedLookMs * 2, longestPausedLookMs);
          gate = 'open';
        }
        continue;
      }
      show('Sending.');
      const changesBefore = gateChanges;
      running = new CancellationScope();
      const lanes = await running.run(() => runLanes(key, wave, title, result, showHeldUp));
      running = null;
      if (lanes === null) {
        // Stopped before a lane could answer. Cancelled itself, this workflow ends as that.
        if (CancellationScope.current().consideredCancelled) {
          throw new CancelledFailure('the wave was cancelled');
        }
        continue;
      }
      if (lanes.some((lane) => lane.outcome === 'none')) {
        return finish('done');
      }
      if (lanes.some((lane) => lane.outcome === 'closed')) {
        return finish('closed');
      }
      if (lanes.some((lane) => lane.outcome === 'paused')) {
        if (gateChanges === changesBefore) {
          gate = 'paused';
        }
        continue;
      }
      const wait = earliest(lanes);
      if (gateChanges !== changesBefore && patched('looksAgainWhenTold')) {
        // What a lane found out may be older than what this wave was told.
        continue;
      }
      if (wait !== null && !isStopped) {
        show(`Waits until ${wait.until}: ${wait.reason}.`);
        if (wait.isHeldUp) {
          tellRun({ reason: wait.reason, until: wait.until });
        }
        const changesNow = gateChanges;
        // Once the window is over only what others hold is waited for.
        const endMs = Date.now() < closesAtMs ? closesAtMs : Infinity;
        const untilMs = Math.min(Date.parse(wait.until), endMs);
        await waitUntil(
          untilMs,
          `Waits: ${wait.reason}. ${title}`,
          () => gateChanges !== changesNow,
        );
      }
    }
    return finish('stopped');
  } catch (error) {
    if (!isCancellation(error)) {
      throw error;
    }
    await CancellationScope.nonCancellable(() => records.cancelWave(key));
    return finish('cancelled');
  }
}

/**
 * Keeps every lane at work until it has nothing more to do now, and waits for all of them whatever
 * becomes of one; answers their last results, or null when they were stopped.
 */
async function runLanes(
  key: { tenantId: string; runId: string; planVersion: number; waveN: number },
  wave: PlannedWaveRef,
  title: string,
  result: WaveResult,
  onSlice: (slice: SliceResult) => void,
): Promise<SliceResult[] | null> {
  const lanes = wave.lanes ?? laneCount(wave);
  const ends = await Promise.allSettled(
    Array.from({ length: lanes }, async (_, lane) => {
      for (;;) {
        const slice = await slices.dispatchSlice.executeWithOptions(
          { summary: summary(`Lane ${lane + 1} of ${lanes}. ${title}`) },
          [key],
        );
        result.accepted += slice.accepted;
        result.refused += slice.refused;
        result.leftOut += slice.leftOut;
        result.inDoubt += slice.inDoubt;
        onSlice(slice);
        if (slice.outcome !== 'more' || workflowInfo().continueAsNewSuggested) {
          return slice;
        }
      }
    }),
  );
  const last: SliceResult[] = [];
  for (const end of ends) {
    if (end.status === 'fulfilled') {
      last.push(end.value);
    } else if (isCancellation(end.reason)) {
      return null;
    } else {
      throw end.reason;
    }
  }
  return last;
}

function doneOf({ accepted, refused, leftOut, inDoubt }: DoneByLanes): DoneByLanes {
  return { accepted, refused, leftOut, inDoubt };
}

function earliest(
  lanes: SliceResult[],
): { until: string; reason: string; isHeldUp: boolean } | null {
  const waits = lanes
    .filter((lane) => lane.outcome === 'notDueUntil' || lane.outcome === 'busy')
    .map((lane) => ({
      until: lane.until ?? new Date(0).toISOString(),
      reason: lane.reason ?? 'calls of another worker',
      isHeldUp: lane.reason !== null && lane.reason !== 'beforeStart',
    }))
    .sort((a, b) => Date.parse(a.until) - Date.parse(b.until));
  return waits[0] ?? null;
}
