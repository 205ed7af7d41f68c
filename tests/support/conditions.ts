import { setTimeout as sleep } from 'node:timers/promises';

/** Looks until the condition gives something other than false, null or undefined; fails after the time. */
export async function until<T>(
  what: string,
  look: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  timeoutMs = 40_000,
): Promise<T> {
  const endsAt = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== false && found !== null && found !== undefined) {
      return found;
    }
    if (Date.now() > endsAt) {
      throw new Error(`not within ${timeoutMs} ms: ${what}`);
    }
    await sleep(20);
  }
}
