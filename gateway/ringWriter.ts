import { setTimeout as sleep } from 'node:timers/promises';
import { subjectId, type HealthEvent } from '../domain/llm/health';
import { isRefusedValue } from '../lib/databaseErrors';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import { acrossTenantsBy } from '../models/base';
import { applyHealth, type AppliedPool, type PoolEvent } from '../models/llm/health';

const firstWaitMs = 100;
const longestWaitMs = 2_000;
// A host that is gone must not keep the one loop that writes.
const deadlineMs = 4_000;

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
    while (waiting.size > 0 && !stopped.signal.aborted) {
      underWay = [...waiting.values()].flat();
      waiting.clear();
      try {
        await write(underWay);
        waitMs = firstWaitMs;
      } catch (err) {
        logger.warn({ err, events: underWay.length }, 'health of keys not written yet');
        takeBack(underWay);
        await sleep(waitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
        waitMs = Math.min(2 * waitMs, longestWaitMs);
      }
    }
    running = null;
  }

  /** Of what the database refuses, only what it refuses by itself is dropped. */
  async function write(events: readonly PoolEvent[]): Promise<void> {
    try {
      const pools = await acrossTenantsBy(db, { purpose: 'llmRing', deadlineMs }, (trx) =>
        applyHealth(trx, events),
      );
      end(events);
      options.written(pools);
    } catch (err) {
      if (!isRefusedValue(err)) {
        throw err;
      }
      const [first] = events;
      if (first !== undefined && events.length === 1) {
        const { poolId, type, subject } = first;
        logger.error({ err, poolId, type, subject }, 'health of a key refused by the database');
        end(events);
        return;
      }
      for (const part of apart(events)) {
        await write(part);
      }
    }
  }

  function end(events: readonly PoolEvent[]): void {
    const ended = new Set(events);
    underWay = underWay.filter((event) => !ended.has(event));
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

// By pool, or what is of one pool one by one.
function apart(events: readonly PoolEvent[]): PoolEvent[][] {
  const ids = [...new Set(events.map(({ poolId }) => poolId))];
  return ids.length > 1
    ? ids.map((id) => events.filter(({ poolId }) => poolId === id))
    : events.map((event) => [event]);
}
