import { LRUCache } from 'lru-cache';
import { evenDraws, hashOf, homeOf, lessLoaded } from '../domain/llm/choose';
import { bulkShareWhileCooling, roomShares } from '../domain/llm/flow';
import { isHalfOpen, isOver, subjectId, type Health } from '../domain/llm/health';
import type { KeyStanding } from '../domain/llm/types';
import { RingChosen } from './RingChosen';
import type { RingAccount, RingKeyCell, RingPool } from './ringPool';
import type { ChosenKey, KeyAsk, NoKey, SkippedKey } from './types';

// A trial that nobody ended is given to another call.
const trialMs = 60_000;
// When to ask again for what a trial under way will show.
const trialWaitMs = 1_000;
const rememberedConversations = 10_000;

/** How a key serves an ask; everything but the first three says why it does not. */
type Verdict =
  | 'well'
  | 'trial'
  | 'draining'
  | 'cooling'
  | 'suspended'
  | 'paused'
  | 'revoked'
  | 'expired'
  | 'full'
  | 'modelNotAllowed'
  | 'tried'
  | 'unreadable'
  | 'notAsked';

/** Chooses keys of pools that are in memory. Nothing in it waits. */
export interface Chooser {
  choose(pools: readonly RingPool[], ask: KeyAsk, now: number): ChosenKey | NoKey;
}

export function createChooser(options: { released: () => void }): Chooser {
  const draw = evenDraws(Math.random());
  /** Where conversations were last, so that those of what is drained may end there. */
  const homes = new LRUCache<string, string>({ max: rememberedConversations });

  return {
    choose(pools, ask, now) {
      for (const pool of pools) {
        const chosen = chooseIn(pool, ask, now);
        if (chosen !== null) {
          return chosen;
        }
      }
      return noKey(pools, ask, now);
    },
  };

  function chooseIn(pool: RingPool, ask: KeyAsk, now: number): ChosenKey | null {
    const well: RingKeyCell[] = [];
    const trials: RingKeyCell[] = [];
    const draining: RingKeyCell[] = [];
    const share = shareOf(pool, ask);
    if (!pool.flow.hasRoom(share)) {
      return null;
    }
    for (const account of pool.accounts.values()) {
      if (ask.withoutAccounts.has(account.id) || !account.flow.hasRoom(share)) {
        continue;
      }
      const way = pool.onTheWay(account, ask.model);
      for (const key of account.keys) {
        const verdict = verdictOf(pool, key, way, ask, share, now);
        if (verdict === 'well') {
          well.push(key);
        } else if (verdict === 'trial') {
          trials.push(key);
        } else if (verdict === 'draining') {
          draining.push(key);
        }
      }
    }
    const key = pick(well, trials, draining, ask);
    return key === null ? null : take(pool, key, ask, now);
  }

  function pick(
    well: RingKeyCell[],
    trials: RingKeyCell[],
    draining: RingKeyCell[],
    ask: KeyAsk,
  ): RingKeyCell | null {
    const { conversation } = ask;
    const home = conversation === null ? undefined : homes.get(conversation);
    const ending =
      home === undefined || draining.length === 0
        ? []
        : draining.filter(({ account }) => account.id === home);
    // Whoever failed once is not to pay for finding out about another key.
    const isFirst = ask.withoutKeys.size === 0 && ask.withoutAccounts.size === 0;
    const preferred = isFirst && trials.length > 0 ? [...well, ...trials] : well;
    const candidates = [ending, preferred, trials, draining].find((list) => list.length > 0) ?? [];
    const near = conversation === null ? candidates : atHome(candidates, conversation);
    return lessLoaded(near, { first: draw(), second: Math.random() });
  }

  function atHome(candidates: readonly RingKeyCell[], conversation: string): RingKeyCell[] {
    const accounts = new Set<RingAccount>();
    for (const { account } of candidates) {
      accounts.add(account);
    }
    const home = homeOf(hashOf(conversation), accounts);
    if (home === null) {
      return [];
    }
    homes.set(conversation, home.id);
    return candidates.filter(({ account }) => account === home);
  }

  function take(pool: RingPool, key: RingKeyCell, ask: KeyAsk, now: number): ChosenKey | null {
    const { credentials } = key;
    if (credentials === null) {
      return null;
    }
    const tried = [
      ...halfOpen(key.health, now),
      ...halfOpen(pool.onTheWay(key.account, ask.model), now),
    ];
    const ends = now + trialMs;
    for (const subject of tried) {
      pool.trials.set(subject, ends);
    }
    const flows = [pool.flow, key.account.flow, key.flow];
    for (const flow of flows) {
      flow.inFlight += 1;
    }
    return new RingChosen(pool, key, credentials, tried.length > 0, () => {
      for (const flow of flows) {
        flow.inFlight -= 1;
      }
      for (const subject of tried) {
        if (pool.trials.get(subject) === ends) {
          pool.trials.delete(subject);
        }
      }
      options.released();
    });
  }

  function noKey(pools: readonly RingPool[], ask: KeyAsk, now: number): NoKey {
    const skipped: SkippedKey[] = [];
    let retryAt: number | null = null;
    for (const pool of pools) {
      const share = shareOf(pool, ask);
      for (const key of pool.keys.values()) {
        const way = pool.onTheWay(key.account, ask.model);
        const why = explain(pool, key, way, ask, share, now);
        if (why === 'notAsked') {
          continue;
        }
        const until =
          why === 'cooling' || why === 'suspended'
            ? freeAt(pool, [...key.health, ...way], now)
            : null;
        skipped.push({ keyId: key.id, accountId: key.account.id, why, until });
        retryAt = until === null ? retryAt : Math.min(retryAt ?? Infinity, until);
      }
    }
    return { retryAt, isFull: skipped.some(({ why }) => why === 'full'), skipped };
  }
}

function explain(
  pool: RingPool,
  key: RingKeyCell,
  way: readonly Health[],
  ask: KeyAsk,
  share: number,
  now: number,
): Verdict {
  if (ask.withoutAccounts.has(key.account.id)) {
    return 'tried';
  }
  const verdict = verdictOf(pool, key, way, ask, share, now);
  return verdict === 'well' || verdict === 'trial' || verdict === 'draining' ? 'full' : verdict;
}

function verdictOf(
  pool: RingPool,
  key: RingKeyCell,
  way: readonly Health[],
  ask: KeyAsk,
  share: number,
  now: number,
): Verdict {
  const { stored, account } = key;
  if (ask.onlyKey !== undefined && ask.onlyKey !== key.id) {
    return 'notAsked';
  }
  if (ask.withoutKeys.has(key.id)) {
    return 'tried';
  }
  const bound = boundBy(account.stored.standing) ?? boundBy(stored.standing);
  if (bound !== null) {
    return bound;
  }
  if (stored.expiresAt !== null && stored.expiresAt <= now) {
    return 'expired';
  }
  if (!key.allows(ask.model)) {
    return 'modelNotAllowed';
  }
  if (key.credentials === null) {
    return 'unreadable';
  }
  const worst = worse(healthVerdict(pool, key.health, now), healthVerdict(pool, way, now));
  if (worst === 'suspended' || worst === 'cooling') {
    return worst;
  }
  if (!key.flow.hasRoom(share)) {
    return 'full';
  }
  const isDrained = account.stored.standing === 'draining' || stored.standing === 'draining';
  return isDrained ? 'draining' : worst;
}

function boundBy(standing: KeyStanding): 'paused' | 'revoked' | null {
  return standing === 'paused' || standing === 'revoked' ? standing : null;
}

const badness = { well: 0, trial: 1, draining: 2, cooling: 3, suspended: 4 } as const;

type HealthVerdict = keyof typeof badness;

function worse(one: HealthVerdict, other: HealthVerdict): HealthVerdict {
  return badness[one] >= badness[other] ? one : other;
}

function healthVerdict(pool: RingPool, list: readonly Health[], now: number): HealthVerdict {
  let worst: HealthVerdict = 'well';
  for (const health of list) {
    worst = worse(worst, verdictOn(pool, health, now));
  }
  return worst;
}

function verdictOn(pool: RingPool, health: Health, now: number): HealthVerdict {
  switch (health.state) {
    case 'suspended':
      return 'suspended';
    case 'draining':
      // Of the platform it only lowers how many calls there may be.
      return health.subject.scope === 'platform' || isOver(health, now) ? 'well' : 'draining';
    case 'cooling':
      return isHalfOpen(health, now) && !pool.isTried(health, now) ? 'trial' : 'cooling';
  }
}

function halfOpen(list: readonly Health[], now: number): readonly string[] {
  return list.filter((health) => isHalfOpen(health, now)).map(({ subject }) => subjectId(subject));
}

function freeAt(pool: RingPool, list: readonly Health[], now: number): number | null {
  let latest = now;
  for (const health of list) {
    if (health.state === 'suspended' && health.until === null) {
      return null;
    }
    const at = pool.isTried(health, now) ? now + trialWaitMs : (health.until ?? now);
    latest = health.state === 'draining' ? latest : Math.max(latest, at);
  }
  return latest;
}

function shareOf(pool: RingPool, { priority }: KeyAsk): number {
  return priority === 'bulk' && pool.isAnyCooling ? bulkShareWhileCooling : roomShares[priority];
}
