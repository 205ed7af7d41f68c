import { AppError } from '../../domain/errors';
import { callerNetwork } from '../../lib/callerNetwork';
import type { ApiContext, ApiMiddleware } from '../context';
import {
  tightest,
  tooManyRequests,
  type Allowance,
  type RateLimitKind,
  type RateLimits,
} from '../rateLimits';

/**
 * Lets a caller on who has not asked too often: an API key is counted by itself, a person whatever
 * device they use, and everybody else by the network they come from.
 */
export function rateLimit(limits: RateLimits, kind: RateLimitKind): ApiMiddleware {
  return async (context, next) => {
    await countCaller(context, limits, kind, callerOf(context));
    await next();
  };
}

/**
 * Counts those who could not say who they are by their network, so that tokens cannot be tried
 * without end. Whoever has a good token is not held up by neighbours who have none.
 */
export function limitStrangers(limits: RateLimits): ApiMiddleware {
  return async (context, next) => {
    try {
      await next();
    } catch (error) {
      // Also who has a key that is not taken from there: it shows that the key is one.
      if (error instanceof AppError && context.state.principal === undefined) {
        await countCaller(context, limits, 'api', `ip:${callerNetwork(context.ip)}`);
      }
      throw error;
    }
  };
}

/**
 * Counts one request of a caller, says in the answer's headers what is left, and refuses with 429
 * what is too much. Of several counts the answer tells the one that ends first.
 */
export async function countCaller(
  context: ApiContext,
  limits: RateLimits,
  kind: RateLimitKind,
  caller: string,
): Promise<void> {
  const allowance = await limits.count(kind, caller);
  const told = tightest([context.state.allowance ?? null, allowance]);
  if (told !== null) {
    context.state.allowance = told;
    tell(context, told);
  }
  if (allowance?.isExceeded === true) {
    throw tooManyRequests(allowance);
  }
}

function callerOf({ ip, state: { principal } }: ApiContext): string {
  if (principal === undefined) {
    return `ip:${callerNetwork(ip)}`;
  }
  return principal.apiKeyId === null ? `user:${principal.userId}` : `key:${principal.apiKeyId}`;
}

// The fields of draft-ietf-httpapi-ratelimit-headers before its eighth version, which clients know.
function tell(context: ApiContext, { limit, remaining, resetSeconds }: Allowance): void {
  context.set({
    'RateLimit-Limit': String(limit),
    'RateLimit-Remaining': String(remaining),
    'RateLimit-Reset': String(resetSeconds),
  });
}
