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

/**
 * Applies stored events for about a minute and answers how many. Two at once, or a repetition, take
 * different events, and an event is applied in the transaction that takes it off the waiting list.
 */
export function createApplyStoredEvents(deps: ActivityDeps) {
  return async function applyStoredEvents(): Promise<number> {
    const context = Context.current();
    const endsAtMs = Date.now() + roundMs;
    let applied = 0;
    let lookedAtMs = 0;
    while (Date.now() < endsAtMs && !context.cancellationSignal.aborted) {
      const batch = await applyBatch(deps);
      applied += batch.applied;
      context.heartbeat({ applied });
      if (Object.keys(batch.setAside).length > 0) {
        deps.logger.error({ setAside: batch.setAside }, 'events set aside');
      }
      for (const run of batch.doubtsSettled) {
        await deps.signalRun(run);
      }
      // Of a flood one batch a second shows the share of what is put off as well as all of it.
      const isTimely = !batch.isMoreLikely || Date.now() - lookedAtMs >= lookEveryMs;
      if (batch.eventIds.length > 0 && isTimely) {
        lookedAtMs = Date.now();
        await slowDownDeferred(deps, batch.eventIds);
      }
      if (!batch.isMoreLikely) {
        await waitMs(idleMs, context.cancellationSignal);
      }
    }
    return applied;
  };
}

async function slowDownDeferred(
  { db, logger }: ActivityDeps,
  eventIds: readonly number[],
): Promise<void> {
  const accounts = await acrossTenants(db, 'eventApply', (trx) => noteDeferrals(trx, eventIds));
  if (accounts.length > 0) {
    logger.warn({ accounts }, 'accounts slowed down: many of their messages are put off');
  }
}

const conflictAttempts = 5;

// Whoever was in the way has gone on by then: Postgres ends only one of those that wait in a ring.
async function applyBatch({ db }: ActivityDeps): Promise<AppliedEvents> {
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
