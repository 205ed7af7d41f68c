import type { ApiDeps } from '../../api/deps';
import { roles, type Role } from '../../domain/identity/permissions';
import { newId } from '../../lib/ids';
import { acrossTenants, withTenant } from '../../models/base';
import type { Customer } from '../../models/customers/Customer';
import { createCustomer, type CustomerValues } from '../../models/customers/customers';
import { createAccount } from '../../models/identity/accounts';
import type { PlanName } from '../../domain/identity/plans';
import { changeSubscription } from '../../models/identity/subscriptions';
import { openSession } from '../../models/identity/sessions';
import { noPassword, signInAs } from './tokens';

/** A tenant with its owner, and access tokens for it. */
export interface TestTenant {
  tenantId: string;
  userId: string;
  email: string;
  /** The owner's. */
  token: string;
  /** A token of a user with another role in this tenant. */
  tokenOf(role: Role): string;
}

type TenantDeps = Pick<ApiDeps, 'db' | 'accessTokens'>;

/** A fresh tenant, written without HTTP and without the cost of a password hash. */
export async function buildTenant(
  deps: TenantDeps,
  overrides: {
    timeZone?: string;
    language?: string;
    companyName?: string;
    /** Without limits unless told otherwise. */
    plan?: PlanName;
  } = {},
): Promise<TestTenant> {
  const tenantId = newId();
  const userId = newId();
  const email = `owner-${userId}@example.com`;
  const account = await createAccount(deps.db, {
    tenantId,
    userId,
    email,
    companyName: overrides.companyName ?? 'Bells & Co',
    passwordHash: noPassword,
    firstName: 'Olga',
    lastName: 'Owner',
    timeZone: overrides.timeZone ?? 'UTC',
    language: overrides.language ?? 'en',
  });
  if (account === null) {
    throw new Error('The tenant was not written');
  }
  const { plan = 'enterprise' } = overrides;
  await withTenant(deps.db, tenantId, (trx) =>
    changeSubscription(
      trx,
      { tenantId, plan, status: 'active', expiresAt: null, limits: {} },
      { actor: { kind: 'system', id: null }, reason: null },
    ),
  );
  const sessionId = newId();
  await acrossTenants(deps.db, 'identity', async (trx) => {
    await openSession(trx, { id: sessionId, userId, tenantId, mfaAt: new Date() });
    await trx('users').where({ id: userId }).update({ email_verified_at: trx.fn.now() });
  });
  const token = deps.accessTokens.issue({ userId, sessionId, tenantId });
  const tokens = new Map<Role, string>([['owner', token]]);
  for (const role of roles.filter((one) => one !== 'owner')) {
    const other = await signInAs(deps, { tenantId, role });
    tokens.set(role, other.token);
  }
  const tokenOf = (role: Role) => tokens.get(role) ?? token;
  return { tenantId, userId, email, token, tokenOf };
}

/** A customer of the tenant, written without HTTP: an address and a zone unless told otherwise. */
export async function buildCustomer(
  deps: Pick<ApiDeps, 'db'>,
  { tenant, ...values }: { tenant: Pick<TestTenant, 'tenantId'> } & CustomerValues,
): Promise<Customer> {
  const id = newId();
  return withTenant(deps.db, tenant.tenantId, (trx) =>
    createCustomer(
      trx,
      { tenantId: tenant.tenantId, id },
      { email: `customer-${id}@example.com`, timeZone: 'Europe/Berlin', ...values },
    ),
  );
}
