import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, or returns at once when the signal asks to stop. */
export async function waitMs(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}
