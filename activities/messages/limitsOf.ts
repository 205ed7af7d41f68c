import type { RateLimit } from '../../domain/messages/rateLimits';
import type { Knex } from '../../lib/db';
import { withTenantByKey } from '../../models/base';
import { listLimits } from '../../models/messages/accountLimits';

const keepLimitsMs = 1_000;

/**
 * The limits of an account as they were at most a second ago. They say how blocks are cut and whether
 * there is anything to reserve; each reservation asks the limits themselves. The first limit that an
 * account gets holds within a second, for blocks that begin then.
 */
export function createLimitsOf(db: Knex) {
  const kept = new Map<string, { limits: Promise<RateLimit[]>; untilMs: number }>();
  return (tenantId: string, accountId: string): Promise<RateLimit[]> => {
    const key = `${tenantId} ${accountId}`;
    const found = kept.get(key);
    if (found !== undefined && performance.now() < found.untilMs) {
      return found.limits;
    }
    const limits = withTenantByKey(db, tenantId, (trx) => listLimits(trx, accountId));
    kept.set(key, { limits, untilMs: performance.now() + keepLimitsMs });
    limits.catch(() => kept.delete(key));
    return limits;
  };
}
