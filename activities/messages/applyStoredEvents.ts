import { Context } from '@temporalio/activity';
import { isTransactionConflict } from '../../lib/databaseErrors';
import { acrossTenants } from '../../models/base';
import { applyEvents, type AppliedEvents } from '../../models/messages/applyEvents';
import { noteDeferrals } from '../../models/messages/deferrals';
import type { ActivityDeps } from '../deps';
import { waitMs } from './wait';

const roundMs = 60_000;
const batchSize = 2_000;
// New events are looked for this often, so facts are at most a moment behind.
const idleMs = 250;
const lookEveryMs = 1_000;
// Two batches at once: one reads while the other writes. Where both are of the same dispatches, the
// later one waits for the locks of the earlier.
const appliers = 2;

type Deps = Pick<ActivityDeps, 'db' | 'logger' | 'signalRun'>;

interface Round {
  context: Context;
  endsAtMs: number;
  applied: number;
  lookedAtMs: number;
  /** One has failed, so that the other ends, too. */
  isBroken: boolean;
}

/**
 * Applies stored events for about a minute and answers how many. Two at once, or a repetition, take
 * different events, and an event is applied in the transaction that takes it off the waiting list.
 */
export function createApplyStoredEvents(deps: Deps) {
  return async function applyStoredEvents(): Promise<number> {
    const round: Round = {
      context: Context.current(),
      endsAtMs: Date.now() + roundMs,
      applied: 0,
      lookedAtMs: 0,
      isBroken: false,
    };
    const ends = await Promise.allSettled(
      Array.from({ length: appliers }, async () => applyUntilEnd(deps, round)),
    );
    for (const end of ends) {
      if (end.status === 'rejected') {
        throw end.reason;
      }
    }
    return round.applied;
  };
}

async function applyUntilEnd(deps: Deps, round: Round): Promise<void> {
  const { context } = round;
  try {
    while (!round.isBroken && Date.now() < round.endsAtMs && !context.cancellationSignal.aborted) {
      const batch = await applyBatch(deps);
      round.applied += batch.applied;
      context.heartbeat({ applied: round.applied });
      if (Object.keys(batch.setAside).length > 0) {
        deps.logger.error({ setAside: batch.setAside }, 'events set aside');
      }
      for (const run of batch.doubtsSettled) {
        await deps.signalRun(run);
      }
      // Of a flood one batch a second shows the share of what is put off as well as all of it.
      const isTimely = !batch.isMoreLikely || Date.now() - round.lookedAtMs >= lookEveryMs;
      if (batch.eventIds.length > 0 && isTimely) {
        round.lookedAtMs = Date.now();
        await slowDownDeferred(deps, batch.eventIds);
      }
      if (!batch.isMoreLikely) {
        await waitMs(idleMs, context.cancellationSignal);
      }
    }
  } catch (error) {
    round.isBroken = true;
    throw error;
  }
}

async function slowDownDeferred({ db, logger }: Deps, eventIds: readonly number[]): Promise<void> {
  const accounts = await acrossTenants(db, 'eventApply', (trx) => noteDeferrals(trx, eventIds));
  if (accounts.length > 0) {
    logger.warn({ accounts }, 'accounts slowed down: many of their messages are put off');
  }
}

const conflictAttempts = 5;

// Whoever was in the way has gone on by then: Postgres ends only one of those that wait in a ring.
async function applyBatch({ db }: Deps): Promise<AppliedEvents> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, batchSize));
    } catch (error) {
      if (attempt === conflictAttempts || !isTransactionConflict(error)) {
        throw error;
      }
    }
  }
}
