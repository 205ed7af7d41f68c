import type { FailureKind } from '../domain/llm/failures';
import { isHalfOpen, type Health, type HealthEvent } from '../domain/llm/health';
import { callRules } from '../domain/llm/healthRules';
import { platformPool } from '../domain/llm/types';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import type { Sealing } from '../lib/sealing';
import { sealedPlace } from '../models/identity/sealedPlaces';
import type { StoredKey } from '../models/llm/pools';
import type { HealthNews } from './healthNews';
import { createChooser } from './ringChoose';
import { startRingLoader } from './ringLoader';
import { RingPool, type RingKeyCell } from './ringPool';
import { learnFrom } from './ringSeen';
import { createRingWriter } from './ringWriter';
import type { Ring, RingKey } from './types';

const defaultPollMs = 5_000;
const closeMs = 5_000;
// Whoever is wanted looks for as long as ten seconds.
const wantedEveryMs = 2_000;
// When to ask again for a model that one call is trying.
const trialWaitMs = 1_000;

/** Whom a ring tells what others should know. Both return at once. */
export interface RingListeners {
  /** Accounts of which a state was written. */
  stateChanged(accountIds: readonly string[]): void;
  /** Accounts that somebody asked for while none of the pool's could serve. */
  wanted(accountIds: readonly string[]): void;
}

/**
 * The keys of all pools in the memory of this process. Resolves once they are loaded, or Postgres did
 * not answer: then there is no key until it does. Choosing waits for nothing, and goes on by what is
 * known while Postgres is away.
 */
export async function createRing(options: {
  db: Knex;
  sealing: Sealing;
  logger: Logger;
  tell: RingListeners;
  /** Is told all that was written, and not only of whom. */
  news?: HealthNews;
  now?: () => number;
  pollMs?: number;
}): Promise<Ring> {
  const { db, sealing, logger, tell, now = Date.now, pollMs = defaultPollMs } = options;
  const pools = new Map<string, RingPool>();
  const waiting = new Set<() => void>();
  const wantedAt = new Map<string, number>();
  const chooser = createChooser({ released: wakeAll });
  const writer = createRingWriter({
    db,
    logger,
    written(applied) {
      options.news?.(applied);
      for (const { poolId, version, health, changes, accountIds } of applied) {
        pools.get(poolId)?.written(version, health, now());
        if (changes.length > 0) {
          say(() => tell.stateChanged(accountIds));
        }
      }
      wakeAll();
    },
  });
  const loader = await startRingLoader({
    db,
    logger,
    pollMs,
    take(stored, isCertain) {
      const pool = pools.get(stored.id) ?? addPool(stored.id);
      return pool.load(stored, {
        open: (key) => open(key, stored.tenantId),
        now: now(),
        isCertain,
      });
    },
    keep(ids) {
      for (const id of pools.keys()) {
        if (!ids.has(id)) {
          pools.delete(id);
          wantedAt.delete(id);
        }
      }
    },
    versionOf: (id) => pools.get(id)?.version ?? 0,
    loaded: wakeAll,
  });

  return {
    choose(ask) {
      const at = now();
      const asked = ask.poolIds.flatMap((id) => pools.get(id) ?? []);
      const chosen = chooser.choose(asked, ask, at);
      if (!('keyId' in chosen)) {
        sayWanted(asked, at);
      }
      return chosen;
    },

    seen(attempt) {
      const pool = pools.get(attempt.key.poolId);
      const key = pool?.keys.get(attempt.key.keyId);
      if (pool === undefined || key === undefined) {
        return;
      }
      for (const event of learnFrom(pool, key, attempt, now())) {
        const [change] = pool.apply(event);
        if (change !== undefined) {
          // As it is known here, so that no shorter time is written where others know less.
          writer.add(pool.id, 'kind' in event ? withKnown(event, change.to) : event);
          wakeAll();
        }
      }
    },

    changed(timeoutMs, signal) {
      return new Promise((resolve) => {
        const nextMs = Math.min(timeoutMs, untilNext());
        // A timer may be a little early.
        const timer = setTimeout(end, Math.ceil(nextMs) + 1);
        waiting.add(end);
        signal.addEventListener('abort', end, { once: true });
        if (signal.aborted) {
          end();
        }
        function end(): void {
          clearTimeout(timer);
          waiting.delete(end);
          signal.removeEventListener('abort', end);
          resolve();
        }
      });
    },

    modelDown(poolId, model) {
      const pool = pools.get(poolId);
      const health = pool?.models.get(model);
      if (pool === undefined || health === undefined || !isKind(health.reason)) {
        return null;
      }
      const at = now();
      if (health.state !== 'cooling' || !isHalfOpen(health, at)) {
        return { until: health.until ?? at + trialWaitMs, reason: health.reason };
      }
      return pool.isTried(health, at) ? { until: at + trialWaitMs, reason: health.reason } : null;
    },

    poolsOf(tenantId) {
      const own = pools.get(tenantId);
      switch (own?.keySource) {
        case 'own':
          return [tenantId];
        case 'platform':
          return [platformPool];
        case 'ownFirst':
        case null:
        case undefined:
          return own === undefined || own.keys.size === 0
            ? [platformPool]
            : [tenantId, platformPool];
      }
    },

    snapshot(poolIds) {
      const at = now();
      const wanted = poolIds?.flatMap((id) => pools.get(id) ?? []) ?? [...pools.values()];
      return wanted.flatMap((pool) => [...pool.keys.values()].map((key) => shown(pool, key, at)));
    },

    flush: () => writer.flush(),

    async close() {
      await loader.close();
      await writer.close(closeMs);
      wakeAll();
    },
  };

  function addPool(id: string): RingPool {
    const pool = new RingPool(id, () => writer.unwritten(id));
    pools.set(id, pool);
    return pool;
  }

  function open(key: StoredKey, tenantId: string | null): string | null {
    try {
      return sealing.open(key.secret, sealedPlace('llmKeys', { key: [key.id], tenantId }));
    } catch (err) {
      logger.error(
        { err, keyId: key.id },
        'a key of language models does not open; it is left out',
      );
      return null;
    }
  }

  function wakeAll(): void {
    for (const wake of waiting) {
      wake();
    }
  }

  /** How long until something stops cooling by itself. */
  function untilNext(): number {
    const at = now();
    let next = Infinity;
    for (const pool of pools.values()) {
      for (const { state, until } of pool.health.values()) {
        if (state === 'cooling' && until !== null && until > at) {
          next = Math.min(next, until - at);
        }
      }
    }
    return next;
  }

  // After whatever is under way: whoever chooses or writes pays for no telling, and fails by none.
  function say(what: () => void): void {
    setImmediate(() => {
      try {
        what();
      } catch (err) {
        logger.warn({ err }, 'nobody was told of keys of language models');
      }
    });
  }

  function sayWanted(asked: readonly RingPool[], at: number): void {
    for (const pool of asked) {
      const isRecent = at - (wantedAt.get(pool.id) ?? 0) < wantedEveryMs;
      if (!isRecent && pool.keys.size > 0 && isDown(pool, at)) {
        wantedAt.set(pool.id, at);
        say(() => tell.wanted([...pool.accounts.keys()]));
      }
    }
  }
}

// Whether nothing of a pool can serve, whatever the model, and something of it is cooling.
function isDown(pool: RingPool, now: number): boolean {
  const { platform } = pool;
  if (platform?.state === 'cooling' && (platform.until ?? 0) > now) {
    return true;
  }
  const keys = [...pool.keys.values()].filter((key) => couldServe(key, now));
  const benched = keys.filter(({ health }) =>
    health.some(
      ({ state, until }) =>
        state === 'suspended' || (state === 'cooling' && until !== null && until > now),
    ),
  );
  return (
    keys.length > 0 &&
    benched.length === keys.length &&
    benched.some(({ health }) => health.some(({ state }) => state === 'cooling'))
  );
}

// Whether nothing but health keeps a key from serving.
function couldServe({ stored, account, credentials }: RingKeyCell, now: number): boolean {
  const isInUse = [stored.standing, account.stored.standing].every(
    (standing) => standing === 'active' || standing === 'draining',
  );
  const isExpired = stored.expiresAt !== null && stored.expiresAt <= now;
  return isInUse && !isExpired && credentials !== null;
}

const badness = { draining: 1, cooling: 2, suspended: 3 } as const;

function shown(pool: RingPool, key: RingKeyCell, now: number): RingKey {
  const { id: keyId, account, stored } = key;
  const platform = pool.platform === null ? [] : [pool.platform];
  const [worst] = [...key.health, ...platform].toSorted(
    (a: Health, b: Health) => badness[b.state] - badness[a.state],
  );
  const standings = [stored.standing, account.stored.standing];
  const bound = (['revoked', 'paused'] as const).find((standing) => standings.includes(standing));
  const isExpired = stored.expiresAt !== null && stored.expiresAt <= now;
  const isDraining = standings.includes('draining');
  const own = bound ?? (isExpired ? 'expired' : null);
  const shownWorst =
    worst !== undefined && !(isDraining && worst.state === 'draining') ? worst : undefined;
  return {
    keyId,
    accountId: account.id,
    poolId: pool.id,
    state: own ?? shownWorst?.state ?? (isDraining ? 'draining' : 'active'),
    scope: own === null ? (shownWorst?.subject.scope ?? null) : null,
    reason: own === null ? (shownWorst?.reason ?? null) : null,
    until: own === null ? (shownWorst?.until ?? null) : null,
    inFlight: key.flow.inFlight,
  };
}

function withKnown<E extends HealthEvent>(event: E, known: Health | null): E {
  return known === null
    ? event
    : { ...event, known: { until: known.until, failures: known.failures } };
}

function isKind(reason: string): reason is FailureKind {
  return reason in callRules;
}
