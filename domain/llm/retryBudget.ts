const buckets = 10;
const bucketMs = 1_000;

/** How many requests may be tried again, so that no outage is made worse by us. */
export interface RetryBudget {
  /** A request came. */
  asked(now: number): void;
  /** Takes one retry out; false when none is left. */
  take(now: number): boolean;
}

/** Budgets of one process, one a pool of keys: nobody's failures use up the retries of others. */
export interface RetryBudgets {
  asked(poolId: string, now: number): void;
  take(poolId: string, now: number): boolean;
}

const remembered = 1_000;

export function createRetryBudgets(each: { share: number; atLeast: number }): RetryBudgets {
  const budgets = new Map<string, RetryBudget & { usedAt: number }>();
  return {
    asked: (poolId, now) => of(poolId, now).asked(now),
    take: (poolId, now) => of(poolId, now).take(now),
  };

  function of(poolId: string, now: number): RetryBudget {
    let budget = budgets.get(poolId);
    if (budget === undefined) {
      forgetIdle(now);
      budget = { ...createRetryBudget(each), usedAt: now };
      budgets.set(poolId, budget);
    }
    budget.usedAt = now;
    return budget;
  }

  // Those that have nothing to remember, once there are many.
  function forgetIdle(now: number): void {
    if (budgets.size < remembered) {
      return;
    }
    for (const [poolId, { usedAt }] of budgets) {
      if (usedAt < now - (buckets + 1) * bucketMs) {
        budgets.delete(poolId);
      }
    }
  }
}

/**
 * Retries within ten seconds: a share of the requests of these seconds, and a few in any case, for
 * processes that are asked rarely.
 */
export function createRetryBudget({
  share,
  atLeast,
}: {
  share: number;
  atLeast: number;
}): RetryBudget {
  const requests = Array.from({ length: buckets }, () => 0);
  const retries = Array.from({ length: buckets }, () => 0);
  let newest = 0;

  return {
    asked(now) {
      const at = forward(now);
      requests[at] = (requests[at] ?? 0) + 1;
    },

    take(now) {
      const at = forward(now);
      const room = Math.max(atLeast, Math.floor(sum(requests) * share));
      if (sum(retries) >= room) {
        return false;
      }
      retries[at] = (retries[at] ?? 0) + 1;
      return true;
    },
  };

  // Empties the seconds that are over; a clock that was set back counts into the newest.
  function forward(now: number): number {
    const second = Math.max(newest, Math.floor(now / bucketMs));
    const gone = Math.min(buckets, second - newest);
    for (let step = 1; step <= gone; step += 1) {
      const at = (newest + step) % buckets;
      requests[at] = 0;
      retries[at] = 0;
    }
    // After a long silence all are empty, whichever of them were gone through.
    newest = second;
    return second % buckets;
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}
