import { listenTo } from '../lib/listen';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import { listPoolVersions, loadPools, type StoredPool } from '../models/llm/pools';

/** What the database tells on with every change of what decides which key is chosen. */
const ringChannel = 'llm_ring';

// While nobody would tell us, or what we were told could not be read.
const againMs = 200;
// What was loaded is older than what this process wrote itself for moments. For longer it is the
// database that is older: it was restored, or another one took over.
const certainMs = 1_000;

/** Keeps what is in memory as it is in Postgres. */
export interface RingLoader {
  close(): Promise<void>;
}

/**
 * Loads all pools (or goes on trying to), then each one that changed: told by Postgres, and by itself every so often, since
 * what is told while nobody listens is lost. Changes that come while one is loaded are loaded together.
 */
export async function startRingLoader(options: {
  db: Knex;
  logger: Logger;
  pollMs: number;
  /** Takes a pool; false when something later is known of it and it is not certain to be right. */
  take: (pool: StoredPool, isCertain: boolean) => boolean;
  /** The pools there are; others are gone. */
  keep: (ids: ReadonlySet<string>) => void;
  versionOf: (poolId: string) => number;
  loaded: () => void;
}): Promise<RingLoader> {
  const { db, logger, pollMs } = options;
  const stopped = new AbortController();
  const changed = new Set<string>();
  /** Since when pools that were loaded were older than what is known. */
  const olderSince = new Map<string, number>();
  let isLookDue = false;
  let lookedAt = Date.now();
  let isFailing = false;

  const told = listenTo(db, ringChannel, (payload) => {
    if (payload === null) {
      isLookDue = true;
    } else {
      changed.add(payload);
    }
  });
  try {
    await load(null);
  } catch (err) {
    fail(err);
    // Whatever there is, once it can be read.
    isLookDue = true;
  }
  const running = run();

  return {
    async close() {
      stopped.abort();
      await told.close();
      await running;
    },
  };

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      const isCalm = told.isListening() && !isFailing && changed.size === 0;
      await told.next(isCalm ? pollMs : againMs, stopped.signal);
      if (stopped.signal.aborted) {
        return;
      }
      try {
        if (isLookDue || Date.now() - lookedAt >= pollMs) {
          await look();
        }
        if (changed.size > 0) {
          await loadChanged();
        }
        isFailing = false;
      } catch (err) {
        fail(err);
      }
    }
  }

  // Told once, not with every try.
  function fail(err: unknown): void {
    if (!isFailing) {
      logger.warn({ err }, 'keys of language models cannot be read; the last ones known serve');
    }
    isFailing = true;
  }

  async function look(): Promise<void> {
    const versions = await listPoolVersions(db);
    isLookDue = false;
    lookedAt = Date.now();
    options.keep(new Set(versions.keys()));
    for (const [id, version] of versions) {
      if (version !== options.versionOf(id)) {
        changed.add(id);
      }
    }
  }

  async function loadChanged(): Promise<void> {
    const ids = [...changed];
    changed.clear();
    try {
      await load(ids);
    } catch (error) {
      ids.forEach((id) => changed.add(id));
      throw error;
    }
  }

  async function load(ids: readonly string[] | null): Promise<void> {
    for (const pool of await loadPools(db, ids)) {
      const since = olderSince.get(pool.id);
      const isCertain = since !== undefined && Date.now() - since >= certainMs;
      if (options.take(pool, isCertain)) {
        olderSince.delete(pool.id);
        continue;
      }
      changed.add(pool.id);
      if (since === undefined) {
        olderSince.set(pool.id, Date.now());
        // Most of the time the next one is right.
        told.tell();
      }
    }
    options.loaded();
  }
}
