import type { TenantRequest } from '../route';

/** Who asks, to be looked at again within the transaction that does it. */
export function actorOf({
  tenantId,
  userId,
  principal,
}: Pick<TenantRequest<object, unknown, unknown>, 'tenantId' | 'userId' | 'principal'>) {
  return { tenantId, userId, sessionId: principal.sessionId };
}
