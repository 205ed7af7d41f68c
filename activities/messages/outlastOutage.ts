import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseUnavailable, isTransactionConflict } from '../../lib/databaseErrors';

// What is known of a call is worth some patience: given up, the call would be in doubt. A process
// that is asked to stop has less of it, but some.
const patienceMs = 30_000;
const patienceWhenStoppingMs = 5_000;

/**
 * Does the work again while the database cannot be reached or another transaction is in the way, for
 * half a minute at the most.
 */
export async function outlastOutage<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const startedAtMs = Date.now();
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 2_000)) {
    try {
      return await work();
    } catch (error) {
      const patience = signal.aborted ? patienceWhenStoppingMs : patienceMs;
      if (
        !(isDatabaseUnavailable(error) || isTransactionConflict(error)) ||
        Date.now() - startedAtMs > patience
      ) {
        throw error;
      }
      await sleep(pauseMs);
    }
  }
}
