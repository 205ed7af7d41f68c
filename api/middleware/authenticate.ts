import { AppError } from '../../domain/errors';
import {
  neverImpersonated,
  ownActionNames,
  permissionsOf,
  platformActionNames,
  type Permission,
} from '../../domain/identity/permissions';
import { isApiKey } from '../../lib/apiKeys';
import { findStanding, noteUse, type Standing } from '../../models/identity/sessions';
import { ipOf } from '../audit';
import type { ApiContext, ApiMiddleware, Principal, Restriction } from '../context';
import type { ApiDeps } from '../deps';
import { principalOfKey } from './apiKeys';

/**
 * Knows who asks from the bearer token, and asks the database how they stand now: a session that was
 * ended, a role that was taken, a key that was revoked and a tenant that was suspended are so from
 * this request on.
 */
export function authenticate(deps: Pick<ApiDeps, 'db' | 'accessTokens'>): ApiMiddleware {
  return async (context, next) => {
    context.set('Cache-Control', 'private, no-cache');
    context.vary('Authorization');
    context.state.principal = await principalOf(context, deps);
    await next();
  };
}

async function principalOf(
  context: ApiContext,
  { db, accessTokens }: Pick<ApiDeps, 'db' | 'accessTokens'>,
): Promise<Principal> {
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(context.get('Authorization'))?.[1];
  if (token === undefined) {
    throw new AppError(
      'unauthenticated',
      'tokenMissing',
      'Send an access token or an API key as "Authorization: Bearer …".',
    );
  }
  if (isApiKey(token)) {
    return principalOfKey(token, context, { db });
  }
  const claims = await accessTokens.verify(token);
  if (claims === null) {
    throw invalidToken();
  }
  const { userId, sessionId, tenantId } = claims;
  const standing = await findStanding(db, { userId, sessionId, tenantId });
  // Who was taken out of a tenant has no token for it any more.
  if (standing === null || (tenantId !== null && standing.role === null)) {
    throw invalidToken();
  }
  if (standing.isUserSuspended) {
    throw new AppError('forbidden', 'userSuspended', 'This account is suspended; ask support.');
  }
  if (standing.isUseUnnoted) {
    await noteUse(db, sessionId, ipOf(context));
  }
  return {
    kind: 'user',
    userId,
    tenantId,
    role: standing.role,
    permissions: permissionsOfPerson(standing),
    sessionId,
    apiKeyId: null,
    impersonatorId: standing.impersonatorId,
    isPlatformAdmin: standing.isPlatformAdmin,
    isEmailVerified: standing.isEmailVerified,
    restriction: restrictionOf(standing),
    mfaAt: standing.mfaAt,
  };
}

function invalidToken(): AppError {
  return new AppError(
    'unauthenticated',
    'tokenInvalid',
    'The access token is not valid or is over; log in again.',
  );
}

function restrictionOf(standing: Standing): Restriction | null {
  if (standing.mustChangePassword) {
    return 'passwordExpired';
  }
  return standing.isTenantSuspended ? 'tenantSuspended' : null;
}

// A suspended tenant is closed to its people, who may go on in another one of theirs.
function permissionsOfPerson(standing: Standing): Set<Permission> {
  const { role, isPlatformAdmin, impersonatorId } = standing;
  if (standing.mustChangePassword) {
    return new Set(ownActionNames);
  }
  const ofRole = role === null || standing.isTenantSuspended ? [] : [...permissionsOf(role)];
  if (impersonatorId !== null) {
    return new Set([...ownActionNames, ...ofRole].filter((name) => !neverImpersonated.has(name)));
  }
  return new Set<Permission>([
    ...ownActionNames,
    ...ofRole,
    ...(isPlatformAdmin ? platformActionNames : []),
  ]);
}
