import type { QuotaLeases } from '../../models/identity/quotaLeases';
import type { ApiMiddleware } from '../context';

/** Counts a request against what the tenant's plan has of them, or answers 402. */
export function countCalls(quotas: QuotaLeases): ApiMiddleware {
  return async (context, next) => {
    const { principal } = context.state;
    if (principal?.tenantId != null) {
      await quotas.take(principal.tenantId, 'apiCalls');
    }
    await next();
  };
}
