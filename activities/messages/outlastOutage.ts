import { isDatabaseUnavailable, isTransactionConflict } from '../../lib/databaseErrors';
import { waitMs } from './wait';

// What is known of a call is worth some patience: given up, the call would be in doubt.
const patienceMs = 30_000;

/**
 * Does the work again while the database cannot be reached or another transaction is in the way, for
 * half a minute at the most.
 */
export async function outlastOutage<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const givesUpAtMs = Date.now() + patienceMs;
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 2_000)) {
    try {
      return await work();
    } catch (error) {
      if (
        !(isDatabaseUnavailable(error) || isTransactionConflict(error)) ||
        Date.now() > givesUpAtMs ||
        signal.aborted
      ) {
        throw error;
      }
      await waitMs(pauseMs, signal);
    }
  }
}
