import { Context } from '@temporalio/activity';
import { withTenantByKey } from '../../models/base';
import {
  claimDispatch,
  releaseEarlierAttempts,
  unclaimDispatch,
  whyNone,
  type ClaimedDispatch,
  type Slice,
  type WaveKey,
} from '../../models/messages/claims';
import { markSending } from '../../models/campaigns/runs';
import type { ActivityDeps } from '../deps';
import { holdRun } from './holdRun';
import { createRooms } from './rooms';
import { createRunContents } from './runContent';
import { createSendDispatch } from './sendDispatch';
import { createSendLane } from './sendLane';
import type { SentCounts } from './sentCounts';
import { waitMs } from './wait';

export type SliceInput = WaveKey;

/** Why a slice returned, and what it did; numbers count messages but for `dispatches`. */
export interface SliceResult extends SentCounts {
  outcome: 'more' | 'notDueUntil' | 'busy' | 'paused' | 'closed' | 'none' | 'stopped';
  until: string | null;
  reason: string | null;
  /** What calls of this lane had to wait for last, if they had to. */
  heldUpBy: string | null;
}

// Shorter waits are spent here; longer ones give the lane back to the workflow and its timer.
const longestWaitMs = 2_000;
// The last calls of a wave may be those of a lane of another one, which ends soon. It may also give
// them back, long before its lease is over.
const firstPauseMs = 100;
const longestBusyMs = 10_000;
// Heartbeats cost the server more than the slices do, and the gate does not wait for them: they only
// bring a stop to a slice that is between two calls.
const heartbeatEveryMs = 7_000;

// What a lane of single calls may take longer; the activity's own time is several times as long.
const mostOvertimeMs = 60_000;
const switchedOff = 'The provider account is switched off';

/**
 * One lane of a wave for about `sliceMs`: claim, leave out, reserve rate, render, pass the gate,
 * call, settle, next. When nothing of its wave is planned any more it helps other waves of the run.
 * Running it twice is safe because every dispatch is claimed under a fencing number, and a later
 * attempt first releases or doubts what the earlier one held.
 */
export function createDispatchSlice(deps: ActivityDeps) {
  const { db } = deps;
  const contentOf = createRunContents(deps);
  const sendDispatch = createSendDispatch(deps);
  const sendLane = createSendLane(deps);
  // A lane that claims while others keep this process busy holds what another process could send.
  const rooms = createRooms();
  return async function dispatchSlice(wave: SliceInput): Promise<SliceResult> {
    const context = Context.current();
    const slice: Slice = {
      workflowRunId: context.info.workflowExecution?.runId ?? '',
      activityId: context.info.activityId,
      attempt: context.info.attempt,
    };
    const totals: SentCounts = { dispatches: 0, accepted: 0, refused: 0, leftOut: 0, inDoubt: 0 };
    let doing = 'starting';
    let hasClaimed = false;
    let heldUpBy: string | null = null;
    const beat = () => context.heartbeat({ doing, ...totals });
    const beating = setInterval(beat, heartbeatEveryMs);
    const end = (
      outcome: SliceResult['outcome'],
      until: Date | null = null,
      reason: string | null = null,
    ): SliceResult => ({
      ...totals,
      outcome,
      until: until?.toISOString() ?? null,
      reason,
      heldUpBy,
    });
    try {
      if (slice.attempt > 1) {
        await withTenantByKey(db, wave.tenantId, (trx) => releaseEarlierAttempts(trx, wave, slice));
      }
      // Before the instant of the wave, so that its first call does not wait for it.
      const content = await contentOf(wave.tenantId, wave.runId);
      const sender = await deps.senders.of(wave.tenantId, content.accountId);
      if (!sender.isActive) {
        await withTenantByKey(db, wave.tenantId, (trx) => holdRun(trx, wave, switchedOff));
        return end('paused');
      }
      const endsAtMs = Date.now() + deps.sliceMs;
      const { batch } = sender;
      const send = async (dispatch: ClaimedDispatch, waveN: number): Promise<void> => {
        doing = `call ${dispatch.n}: ${dispatch.messageCount} messages`;
        try {
          if (!hasClaimed) {
            await withTenantByKey(db, wave.tenantId, (trx) =>
              markSending(trx, wave.tenantId, wave.runId),
            );
            hasClaimed = true;
          }
          const work = {
            wave: { ...wave, waveN },
            dispatch,
            sender,
            signal: context.cancellationSignal,
          };
          const sent =
            batch === null || content.channel !== 'email'
              ? await sendLane({ ...work, content, endsAtMs: endsAtMs + mostOvertimeMs })
              : await sendDispatch({ ...work, mail: content, batch });
          totals.dispatches += sent.dispatches;
          totals.accepted += sent.accepted;
          totals.refused += sent.refused;
          totals.leftOut += sent.leftOut;
          totals.inDoubt += sent.inDoubt;
        } catch (error) {
          // A claim that never called is free for others at once, not after its lease.
          await withTenantByKey(db, wave.tenantId, (trx) =>
            unclaimDispatch(trx, wave.tenantId, wave.runId, dispatch, null),
          ).catch(() => undefined);
          throw error;
        }
      };
      let isHelping = false;
      let pauseMs = firstPauseMs;
      while (!context.cancellationSignal.aborted) {
        if (Date.now() >= endsAtMs) {
          const own = isHelping ? await whyNone(db, wave) : null;
          return end(own?.kind === 'none' || own?.kind === 'closed' ? own.kind : 'more');
        }
        doing = 'waiting for calls of this process';
        const claim = await rooms(
          { group: wave.runId, most: batch === null ? sender.mostInHand : Infinity },
          { untilMs: endsAtMs, signal: context.cancellationSignal },
          async () => {
            doing = 'looking for the next call';
            const found = await claimDispatch(db, wave, slice, deps.leaseMs);
            if (found.kind === 'claimed') {
              isHelping = found.waveN !== wave.waveN;
              await send(found.dispatch, found.waveN);
            }
            return found;
          },
        );
        if (claim === null || claim.kind === 'claimed') {
          pauseMs = firstPauseMs;
          continue;
        }
        if (claim.kind === 'busy' && pauseMs <= longestWaitMs) {
          doing = 'waiting for calls of other lanes';
          await waitMs(pauseMs, context.cancellationSignal);
          pauseMs *= 2;
          continue;
        }
        if (claim.kind === 'notDueUntil') {
          const ms = claim.until.getTime() - Date.now();
          heldUpBy = claim.reason === 'beforeStart' ? heldUpBy : claim.reason;
          if (ms > longestWaitMs) {
            return end('notDueUntil', claim.until, claim.reason);
          }
          doing = `waiting: ${claim.reason}`;
          // The database's clock decides; where ours runs ahead, it is not asked without a pause.
          await waitMs(Math.max(ms, 20), context.cancellationSignal);
          continue;
        }
        return end(claim.kind, claim.kind === 'busy' ? soonest(claim.until) : null);
      }
      return end('stopped');
    } finally {
      clearInterval(beating);
    }
  };
}

function soonest(leaseEndsAt: Date): Date {
  return new Date(Math.min(leaseEndsAt.getTime(), Date.now() + longestBusyMs));
}
