import { AppError } from '../../domain/errors';
import { isScope } from '../../domain/identity/permissions';
import { hashOfApiKey } from '../../lib/apiKeys';
import { derivedId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { findKeyStanding, type KeyStanding } from '../../models/identity/apiKeys';
import { audit } from '../../models/identity/audit';
import { auditOf, ipOf } from '../audit';
import type { ApiContext, Principal } from '../context';
import type { ApiDeps } from '../deps';

/**
 * The principal of an API key: what its scopes are, whatever its maker has become in the tenant, but
 * nothing while its maker or the tenant is suspended. A key that opens nothing any more is somebody's
 * to look after, so that its use stands in the audit log.
 */
export async function principalOfKey(
  key: string,
  context: ApiContext,
  deps: Pick<ApiDeps, 'db'>,
): Promise<Principal> {
  const hash = hashOfApiKey(key);
  const standing =
    hash === null ? null : await findKeyStanding(deps.db, { hash, ip: ipOf(context) });
  if (standing === null) {
    throw unauthenticated('tokenInvalid', 'There is no such API key.');
  }
  const refusal = refusalOf(standing);
  if (refusal !== null) {
    await remember(standing, refusal.code, context, deps);
    throw refusal;
  }
  return {
    kind: 'apiKey',
    userId: standing.createdBy,
    tenantId: standing.tenantId,
    role: null,
    permissions: new Set(standing.isTenantSuspended ? [] : standing.scopes.filter(isScope)),
    sessionId: null,
    apiKeyId: standing.id,
    impersonatorId: null,
    isPlatformAdmin: false,
    isEmailVerified: standing.isEmailVerified,
    restriction: standing.isTenantSuspended ? 'tenantSuspended' : null,
    mfaAt: null,
  };
}

function refusalOf(standing: KeyStanding): AppError | null {
  if (standing.isRevoked || standing.isTenantEnded) {
    return unauthenticated('apiKeyRevoked', 'This API key was revoked.');
  }
  if (standing.isExpired) {
    return unauthenticated('apiKeyExpired', 'This API key is over.');
  }
  if (!standing.isIpAllowed) {
    return new AppError('forbidden', 'ipNotAllowed', 'This API key is not used from here.');
  }
  return standing.isUserSuspended
    ? new AppError('forbidden', 'userSuspended', 'Whoever made this API key is suspended.')
    : null;
}

// A program that was forgotten asks for days, so once a minute is enough.
async function remember(
  { tenantId, id, isTenantEnded }: KeyStanding,
  reason: string,
  context: ApiContext,
  deps: Pick<ApiDeps, 'db'>,
): Promise<void> {
  if (isTenantEnded) {
    return;
  }
  const minute = new Date(Math.floor(Date.now() / 60_000) * 60_000);
  const entry = auditOf(
    { context, requestId: context.state.requestId },
    {
      id: derivedId(minute, `${id} ${reason}`),
      action: 'apiKey.refused',
      tenantId,
      actor: { kind: 'apiKey', id },
      target: { kind: 'apiKey', id },
      after: { reason },
    },
  );
  await acrossTenants(deps.db, 'identity', (trx) => audit(trx, entry));
}

function unauthenticated(code: string, message: string): AppError {
  return new AppError('unauthenticated', code, message);
}
