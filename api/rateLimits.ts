import { RateLimiterMemory, RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import { AppError } from '../domain/errors';
import { rateLimitDefaults, type Config } from '../lib/config';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import { rateCounterStore, type RateCounterStore } from '../models/requests/rateCounters';

/** What routes are counted together; each kind has a limit of its own. */
export type RateLimitKind = 'auth' | 'upload' | 'api';

/** What is left to a caller in the window that runs. */
export interface Allowance {
  readonly limit: number;
  readonly remaining: number;
  readonly resetSeconds: number;
  readonly isExceeded: boolean;
}

export interface RateLimits {
  /**
   * Counts one request of the caller; null where nothing is limited. It never fails: without the
   * database each process counts for itself.
   */
  count(kind: RateLimitKind, caller: string): Promise<Allowance | null>;
}

const windowSeconds = 60;

/**
 * Counts requests in windows of a minute, shared by all API processes through Postgres. Who is over
 * the limit is refused from memory until the window ends and costs no statement.
 */
export function createRateLimits(deps: {
  config: Pick<Config, `RATE_LIMIT_${Uppercase<RateLimitKind>}_PER_MIN`>;
  db: Knex;
  logger: Logger;
}): RateLimits {
  const { config } = deps;
  const store = reportingFailures(rateCounterStore(deps.db), deps.logger);
  const limiters = {
    auth: limiterOf('auth', config.RATE_LIMIT_AUTH_PER_MIN ?? rateLimitDefaults.auth, store),
    upload: limiterOf(
      'upload',
      config.RATE_LIMIT_UPLOAD_PER_MIN ?? rateLimitDefaults.upload,
      store,
    ),
    api: limiterOf('api', config.RATE_LIMIT_API_PER_MIN ?? rateLimitDefaults.api, store),
  };
  return {
    async count(kind, caller) {
      const limiter = limiters[kind];
      return limiter === null ? null : countOne(limiter, caller);
    },
  };
}

/** Of several allowances the one that ends first. */
export function tightest(allowances: readonly (Allowance | null)[]): Allowance | null {
  const given = allowances.filter((one) => one !== null);
  return given.reduce<Allowance | null>(
    (least, one) =>
      least === null ||
      one.remaining < least.remaining ||
      (one.remaining === least.remaining && one.resetSeconds > least.resetSeconds)
        ? one
        : least,
    null,
  );
}

/** The refusal of a caller whose allowance is used up. */
export function tooManyRequests({ limit, resetSeconds }: Allowance): AppError {
  return new AppError(
    'rateLimited',
    'tooManyRequests',
    `At most ${limit} such requests a minute; try again in ${resetSeconds} s.`,
    { retryAfterSeconds: resetSeconds },
  );
}

function limiterOf(
  kind: RateLimitKind,
  points: number,
  store: RateCounterStore,
): RateLimiterPostgres | null {
  if (points === 0) {
    return null;
  }
  return new RateLimiterPostgres({
    storeClient: store,
    storeType: 'pool',
    tableName: 'rate_counters',
    // Our migration made it.
    tableCreated: true,
    // All kinds are in one table, which one of the limiters keeps small.
    clearExpiredByTimeout: kind === 'api',
    keyPrefix: kind,
    points,
    duration: windowSeconds,
    inMemoryBlockOnConsumed: points + 1,
    insuranceLimiter: new RateLimiterMemory({ keyPrefix: kind, points, duration: windowSeconds }),
  });
}

async function countOne(limiter: RateLimiterPostgres, caller: string): Promise<Allowance> {
  try {
    return allowanceOf(limiter.points, await limiter.consume(caller), false);
  } catch (error) {
    if (error instanceof RateLimiterRes) {
      return allowanceOf(limiter.points, error, true);
    }
    throw error;
  }
}

function allowanceOf(limit: number, counted: RateLimiterRes, isExceeded: boolean): Allowance {
  return {
    limit,
    remaining: isExceeded ? 0 : counted.remainingPoints,
    resetSeconds: Math.max(1, Math.ceil(counted.msBeforeNext / 1000)),
    isExceeded,
  };
}

// The library goes on in memory by itself and tells nobody.
function reportingFailures(store: RateCounterStore, logger: Logger): RateCounterStore {
  let saidAt = 0;
  return {
    async query(statement) {
      try {
        return await store.query(statement);
      } catch (error) {
        if (Date.now() - saidAt > 60_000) {
          saidAt = Date.now();
          logger.warn({ err: error }, 'requests are counted by each process alone');
        }
        throw error;
      }
    },
  };
}
