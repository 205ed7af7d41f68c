import { Context } from '@temporalio/activity';
import { acrossTenants } from '../../models/base';
import { applyEvents } from '../../models/messages/events';
import type { ActivityDeps } from '../deps';
import { waitMs } from './wait';

const roundMs = 60_000;
const batchSize = 2_000;
// New events are looked for this often, so facts are at most a moment behind.
const idleMs = 250;

/**
 * Applies stored events for about a minute and answers how many. Two at once, or a repetition, take
 * different events, and an event is applied in the transaction that marks it.
 */
export function createApplyStoredEvents(deps: ActivityDeps) {
  return async function applyStoredEvents(): Promise<number> {
    const context = Context.current();
    const endsAtMs = Date.now() + roundMs;
    let applied = 0;
    while (Date.now() < endsAtMs && !context.cancellationSignal.aborted) {
      const batch = await acrossTenants(deps.db, 'eventApply', (trx) =>
        applyEvents(trx, batchSize),
      );
      applied += batch.applied;
      context.heartbeat({ applied });
      for (const run of batch.doubtsSettled) {
        await deps.signalRun(run);
      }
      if (batch.applied < batchSize) {
        await waitMs(idleMs, context.cancellationSignal);
      }
    }
    return applied;
  };
}
