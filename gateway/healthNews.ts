import { platformPool } from '../domain/llm/types';
import type { HealthChange } from '../domain/llm/poolHealth';
import type { Logger } from '../lib/logger';
import { Counter, type Registry } from '../lib/metrics';
import type { AppliedPool } from '../models/llm/health';

/** Is told what one process wrote of the health of keys: each change once, by whoever wrote it. */
export type HealthNews = (pools: readonly AppliedPool[]) => void;

/** What ends by no trial: somebody has to do something, or to know. */
const pages = [
  {
    scope: 'key',
    to: 'suspended',
    reason: 'authentication',
    told: 'a key of language models was refused by its vendor, and is suspended',
  },
  {
    scope: 'accountModel',
    to: 'cooling',
    reason: 'notPermitted',
    told: 'a model is not permitted to an account',
  },
  {
    scope: 'model',
    to: 'cooling',
    reason: 'modelUnavailable',
    told: 'a model is served by nobody',
  },
] as const;

/** Counts changes of health, and logs as errors, by ids alone, those that people are to be told of. */
export function createHealthNews(options: {
  logger: Logger;
  metrics: Registry | null;
}): HealthNews {
  const { logger, metrics } = options;
  const { changed, down } = countersOf(metrics);

  return (pools) => {
    for (const { poolId, changes, wentDown } of pools) {
      for (const change of changes.filter(isNews)) {
        const labels = labelsOf(change);
        changed.inc(labels);
        const page = pages.find(
          ({ scope, reason, to }) =>
            scope === labels.scope && reason === labels.reason && to === labels.to,
        );
        if (page !== undefined) {
          const { accountId, keyId, model } = change.subject;
          logger.error({ poolId, accountId, keyId, model }, page.told);
        }
      }
      if (wentDown) {
        down.inc({ pool: poolId === platformPool ? 'platform' : 'tenants' });
        logger.error({ poolId }, 'no account of a pool of language models may be used');
      }
    }
  };
}

type Counters = ReturnType<typeof createCounters>;

// What the ring and the probes of one process write is counted together.
const known = new WeakMap<Registry, Counters>();

function countersOf(metrics: Registry | null): Counters {
  const counters = (metrics === null ? undefined : known.get(metrics)) ?? createCounters(metrics);
  if (metrics !== null) {
    known.set(metrics, counters);
  }
  return counters;
}

function createCounters(metrics: Registry | null) {
  const registers = metrics === null ? [] : [metrics];
  const changed = new Counter({
    name: 'carillon_llm_health_changes_total',
    help: 'Changes of how keys, accounts and models stand, as this process wrote them',
    labelNames: ['scope', 'reason', 'to'],
    registers,
  });
  const down = new Counter({
    name: 'carillon_llm_pools_down_total',
    help: 'Times that the last account of a pool could not be used any more',
    labelNames: ['pool'],
    registers,
  });
  // An increase is seen only of what was there before.
  for (const { scope, reason, to } of pages) {
    changed.inc({ scope, reason, to }, 0);
  }
  down.inc({ pool: 'platform' }, 0);
  down.inc({ pool: 'tenants' }, 0);
  return { changed, down };
}

// A trial that failed again is none.
function isNews({ from, to }: HealthChange): boolean {
  return from?.state !== to?.state || from?.reason !== to?.reason;
}

function labelsOf({ subject, from, to }: HealthChange) {
  return {
    scope: subject.scope,
    reason: to?.reason ?? from?.reason ?? 'none',
    to: to?.state ?? 'well',
  };
}
