import { setTimeout as sleep } from 'node:timers/promises';

/** Work that is done for many at once, by one statement. */
export interface Groups<T> {
  add(item: T): void;
  /** How many are waiting or under way. */
  size(): number;
  /** Resolves when nothing is waiting nor under way. */
  idle(): Promise<void>;
}

/**
 * Group commit: one group is under way at a time, and what comes meanwhile goes with the next one. So
 * a call that comes alone goes at once, and a thousand wait for a few statements. `run` never rejects:
 * it answers for each of its items, or adds it again.
 */
export function createGroups<T>({
  most,
  run,
  gatherMs = 0,
}: {
  most: number;
  run: (items: readonly T[]) => Promise<void>;
  /** How long a group waits for others to come along, where nobody waits for it. */
  gatherMs?: number;
}): Groups<T> {
  let waiting: T[] = [];
  let underWay = 0;
  let idlers: (() => void)[] = [];

  async function work(): Promise<void> {
    // What comes in the same turn goes together.
    await Promise.resolve();
    while (waiting.length > 0) {
      if (gatherMs > 0 && waiting.length < most) {
        await sleep(gatherMs);
      }
      const group = waiting.slice(0, most);
      waiting = waiting.slice(most);
      underWay = group.length;
      await run(group);
    }
    underWay = 0;
    isWorking = false;
    const told = idlers;
    idlers = [];
    for (const tell of told) {
      tell();
    }
  }

  let isWorking = false;
  return {
    add(item) {
      waiting.push(item);
      if (!isWorking) {
        isWorking = true;
        void work();
      }
    },
    size: () => waiting.length + underWay,
    idle: () => (isWorking ? new Promise((resolve) => idlers.push(resolve)) : Promise.resolve()),
  };
}
