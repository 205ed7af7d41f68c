import { startTestApi, type TestApi } from '../../support/api';
import { buildTenant } from '../../support/factories';
import { signInAs } from '../../support/tokens';

export interface Owner {
  readonly token: string;
  readonly userId: string;
  /** Null for the platform. */
  readonly ownerId: string | null;
}

/** An API, and an admin of the platform. */
export async function startOwnersApi(): Promise<{ api: TestApi; admin: Owner }> {
  const api = await startTestApi();
  const { tenantId } = await buildTenant(api.deps);
  const { token, userId } = await signInAs(api.deps, { tenantId, role: 'viewer' });
  await api.db('users').where({ id: userId }).update({ is_platform_admin: true });
  return { api, admin: { token, userId, ownerId: null } };
}

/** Somebody of a new tenant. */
export async function newTenantOwner(api: TestApi): Promise<Owner> {
  const { token, tenantId, userId } = await buildTenant(api.deps);
  return { token, userId, ownerId: tenantId };
}
