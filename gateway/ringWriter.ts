import { setTimeout as sleep } from 'node:timers/promises';
import { subjectId, type HealthEvent } from '../domain/llm/health';
import { isRefusedValue } from '../lib/databaseErrors';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import { acrossTenants } from '../models/base';
import { applyHealth, type AppliedPool, type PoolEvent } from '../models/llm/health';

const firstWaitMs = 100;
const longestWaitMs = 2_000;
const mostRefusals = 3;

/** Writes what a process learned, behind its back and until it is written. */
export interface RingWriter {
  add(poolId: string, event: HealthEvent): void;
  /** What is not written yet of a pool, in order. */
  unwritten(poolId: string): readonly HealthEvent[];
  flush(): Promise<void>;
  /** Waits so long for what is left to be written. */
  close(timeoutMs: number): Promise<void>;
}

/**
 * Keeps at most two events of a subject, the last recovery and what came after it, so that an hour
 * without Postgres takes no more memory than a minute. What comes while a transaction is under way goes
 * with the next one.
 */
export function createRingWriter(options: {
  db: Knex;
  logger: Logger;
  written: (pools: readonly AppliedPool[]) => void;
}): RingWriter {
  const { db, logger } = options;
  const stopped = new AbortController();
  /** By pool and subject. */
  const waiting = new Map<string, PoolEvent[]>();
  let underWay: readonly PoolEvent[] = [];
  let running: Promise<void> | null = null;

  return {
    add(poolId, event) {
      put({ ...event, poolId });
      running ??= run();
    },
    unwritten(poolId) {
      return [...underWay, ...[...waiting.values()].flat()].filter(
        (event) => event.poolId === poolId,
      );
    },
    async flush() {
      await running;
    },
    async close(timeoutMs) {
      const written = new AbortController();
      await Promise.race([
        running,
        sleep(timeoutMs, undefined, { signal: written.signal }).catch(() => undefined),
      ]);
      written.abort();
      stopped.abort();
    },
  };

  function put(event: PoolEvent): void {
    const id = `${event.poolId} ${subjectId(event.subject)}`;
    const earlier = waiting.get(id) ?? [];
    const recovery = earlier.findLast(({ type }) => type === 'recovered');
    const isOnly = event.type === 'recovered' || recovery === undefined;
    // To the end: of two subjects the one that was seen first is written first.
    waiting.delete(id);
    waiting.set(id, isOnly ? [event] : [recovery, event]);
  }

  async function run(): Promise<void> {
    // What is learned in the same moment is written together.
    await Promise.resolve();
    let waitMs = firstWaitMs;
    let refusals = 0;
    while (waiting.size > 0 && !stopped.signal.aborted) {
      underWay = [...waiting.values()].flat();
      waiting.clear();
      try {
        const events = underWay;
        const pools = await acrossTenants(db, 'llmRing', (trx) => applyHealth(trx, events));
        underWay = [];
        waitMs = firstWaitMs;
        refusals = 0;
        options.written(pools);
      } catch (err) {
        refusals += isRefusedValue(err) ? 1 : 0;
        const isGivenUp = refusals >= mostRefusals;
        logger[isGivenUp ? 'error' : 'warn'](
          { err, events: underWay.length },
          isGivenUp ? 'health of keys refused by the database' : 'health of keys not written yet',
        );
        takeBack(isGivenUp ? [] : underWay);
        refusals = isGivenUp ? 0 : refusals;
        await sleep(waitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
        waitMs = Math.min(2 * waitMs, longestWaitMs);
      }
    }
    running = null;
  }

  function takeBack(events: readonly PoolEvent[]): void {
    const later = [...waiting.values()].flat();
    underWay = [];
    waiting.clear();
    for (const event of [...events, ...later]) {
      put(event);
    }
  }
}
