import { notFound } from '../../domain/errors';
import type { TenantRequest } from '../route';

/**
 * For routes with a tenant in their path: it has to be the one the token works in, whoever asks. For
 * any other, one's own included, there is no such tenant: switch first. So a permission is only ever
 * looked at in the tenant it was given in.
 */
export function requireOwnTenant({
  params,
  tenantId,
}: Pick<TenantRequest<{ id: string }, unknown, unknown>, 'params' | 'tenantId'>): void {
  if (params.id !== tenantId) {
    throw notFound('tenant');
  }
}
