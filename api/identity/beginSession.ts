import { AppError } from '../../domain/errors';
import { newId } from '../../lib/ids';
import { newToken } from '../../lib/tokens';
import type { Knex } from '../../lib/db';
import { findAccount, lockUnchanged, type Account } from '../../models/identity/accounts';
import { audit } from '../../models/identity/audit';
import { openSession } from '../../models/identity/sessions';
import type { User } from '../../models/identity/User';
import { auditOf, ipOf, type AuditedRequest } from '../audit';
import type { ApiContext } from '../context';
import type { ApiDeps } from '../deps';
import { presentSession } from './present';

/** A request that may sign somebody in. */
export type SignInRequest = AuditedRequest & { readonly deps: ApiDeps };

/** A session that has begun, with the only copy of its refresh token. */
export interface BegunSession {
  readonly account: Account;
  readonly sessionId: string;
  readonly refreshToken: string;
}

/**
 * Signs in a person who has just shown that it is them, as `user` was read before that, in the tenant that is named or in their first
 * one, and remembers it in the audit log. Present it with `presentSession` once it is committed.
 *
 * @throws forbidden userSuspended; unauthenticated wrongCredentials when what they showed is over
 */
export async function beginSession(
  trx: Knex.Transaction,
  request: SignInRequest,
  { user, tenantId }: { user: User; tenantId?: string | null },
): Promise<BegunSession> {
  await requireUnchanged(trx, user);
  const { id: userId } = user;
  const found = await findAccount(trx, { userId, ...(tenantId == null ? {} : { tenantId }) });
  if (found === null) {
    throw wrongCredentials();
  }
  if (found.user.suspendedAt !== null) {
    throw new AppError('forbidden', 'userSuspended', 'This account is suspended; ask support.');
  }
  const sessionId = newId();
  const place = found.place?.tenant.id ?? null;
  const refreshToken = newToken();
  const lastLoginAt = await openSession(
    trx,
    {
      id: sessionId,
      userId,
      tenantId: place,
      mfaAt: new Date(),
      ip: ipOf(request.context),
      userAgent: userAgentOf(request.context),
    },
    refreshToken,
  );
  await audit(
    trx,
    auditOf(request, {
      action: 'user.loggedIn',
      tenantId: place,
      actor: { kind: 'user', id: userId },
      target: { kind: 'user', id: userId },
      after: { sessionId },
    }),
  );
  found.user.lastLoginAt = lastLoginAt;
  return { account: found, sessionId, refreshToken: refreshToken.token };
}

/**
 * Locks a person who has shown that it is them, before anything else of theirs is written. A password
 * that was set, a second factor and a suspension count from their commit on, also for a login that was
 * on its way.
 *
 * @throws unauthenticated wrongCredentials
 */
export async function requireUnchanged(trx: Knex.Transaction, seen: User): Promise<void> {
  if (!(await lockUnchanged(trx, seen))) {
    throw wrongCredentials();
  }
}

/** The session as an answer. */
export function presentBegun(
  { account, sessionId, refreshToken }: BegunSession,
  { accessTokens }: Pick<ApiDeps, 'accessTokens'>,
) {
  return presentSession(account, { sessionId, refreshToken }, accessTokens);
}

/** Said alike of an address that nobody has and of a wrong password. */
export function wrongCredentials(): AppError {
  return new AppError(
    'unauthenticated',
    'wrongCredentials',
    'There is no account with this address and password.',
  );
}

/** What the caller's program calls itself, as far as the database can keep it. */
export function userAgentOf(context: ApiContext): string | null {
  const text = context
    .get('User-Agent')
    .slice(0, 200)
    .replace(/[\p{Cc}\p{Surrogate}]/gu, '');
  return text === '' ? null : text;
}
