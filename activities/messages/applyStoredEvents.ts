import { Context } from '@temporalio/activity';
import { isTransactionConflict } from '../../lib/databaseErrors';
import { acrossTenants } from '../../models/base';
import { applyEvents, type AppliedEvents } from '../../models/messages/applyEvents';
import type { ActivityDeps } from '../deps';
import { waitMs } from './wait';

const roundMs = 60_000;
const batchSize = 2_000;
// New events are looked for this often, so facts are at most a moment behind.
const idleMs = 250;

/**
 * Applies stored events for about a minute and answers how many. Two at once, or a repetition, take
 * different events, and an event is applied in the transaction that takes it off the waiting list.
 */
export function createApplyStoredEvents(deps: ActivityDeps) {
  return async function applyStoredEvents(): Promise<number> {
    const context = Context.current();
    const endsAtMs = Date.now() + roundMs;
    let applied = 0;
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
      if (!batch.isMoreLikely) {
        await waitMs(idleMs, context.cancellationSignal);
      }
    }
    return applied;
  };
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
