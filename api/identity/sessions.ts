import { z } from 'zod';
import { AppError, notFound } from '../../domain/errors';
import { Refresh, Session as SessionShape, SignedInSession } from '../../domain/identity/schema';
import { hashToken } from '../../lib/tokens';
import { acrossTenants } from '../../models/base';
import { findAccount } from '../../models/identity/accounts';
import { audit } from '../../models/identity/audit';
import { refreshSession, type Repeatable } from '../../models/identity/refreshing';
import type { Session } from '../../models/identity/Session';
import { revokeSessions, sessionSorts, sessionsOf } from '../../models/identity/sessions';
import { auditOf, ipOf } from '../audit';
import { json } from '../bodies';
import type { ApiDeps } from '../deps';
import { requireUsableKey } from '../idempotency';
import { listPage, listQuery } from '../lists';
import { publicRoute, reply, userRoute } from '../route';
import { userAgentOf } from './beginSession';
import { presentSession } from './present';

const tags = ['identity'];

const refresh = publicRoute({
  method: 'post',
  path: '/auth/refresh',
  name: 'refresh',
  summary: 'Exchange a refresh token for a fresh access token and the next refresh token',
  description:
    'A refresh token is good once. Showing one again ends the session, because one of the two who showed it has stolen it. A client whose answer was lost may repeat the request within a minute with the Idempotency-Key of the first one, and gets the same refresh token, unless that was used.',
  tags,
  body: json(Refresh),
  limit: 'api',
  answers: { 200: SessionShape },
  problems: ['refreshTokenInvalid', 'refreshTokenReused', 'userSuspended'],
  async handler(request) {
    const { deps, body, context, idempotencyKey } = request;
    const outcome = await acrossTenants(deps.db, 'identity', async (trx) => {
      const refreshed = await refreshSession(trx, body.refreshToken, {
        repeatable: repeatableOf(deps, body.refreshToken, idempotencyKey),
        ip: ipOf(context),
        userAgent: userAgentOf(context),
      });
      if (refreshed.kind === 'reused') {
        await audit(
          trx,
          auditOf(request, {
            action: 'session.refreshReused',
            tenantId: refreshed.tenantId,
            target: { kind: 'session', id: refreshed.sessionId },
            after: { userId: refreshed.userId },
          }),
        );
      }
      // Thrown below: an error here would take back that the session was ended.
      return refreshed.kind === 'refreshed'
        ? { ...refreshed, account: await findAccount(trx, refreshed) }
        : refreshed;
    });
    if (outcome.kind === 'reused') {
      throw new AppError(
        'unauthenticated',
        'refreshTokenReused',
        'This refresh token was used before, so its session is over; log in again.',
      );
    }
    if (outcome.kind === 'over' || outcome.account === null) {
      throw new AppError(
        'unauthenticated',
        'refreshTokenInvalid',
        'The refresh token is not valid or is over; log in again.',
      );
    }
    if (outcome.account.user.suspendedAt !== null) {
      throw new AppError('forbidden', 'userSuspended', 'This account is suspended; ask support.');
    }
    return reply(200, presentSession(outcome.account, outcome, deps.accessTokens));
  },
});

const logout = userRoute({
  method: 'post',
  path: '/auth/logout',
  name: 'logout',
  summary: 'Sign out: the access token and the refresh token are over at once',
  tags,
  // Whoever acts as somebody else must be able to stop.
  permission: 'self:read',
  answers: { 204: null },
  async handler(request) {
    const { deps, principal, userId } = request;
    const only = principal.sessionId;
    await acrossTenants(deps.db, 'identity', async (trx) => {
      const ended = only === null ? [] : await revokeSessions(trx, { userId, only }, 'logout');
      await audit(
        trx,
        ...ended.map((id) =>
          auditOf(request, { action: 'user.loggedOut', target: { kind: 'session', id } }),
        ),
      );
    });
    return reply(204);
  },
});

const logoutAll = userRoute({
  method: 'post',
  path: '/auth/logout-all',
  name: 'logoutAll',
  summary: 'End all of your sessions, this one too',
  tags,
  permission: 'self:write',
  answers: { 204: null },
  async handler(request) {
    const { deps, userId } = request;
    await acrossTenants(deps.db, 'identity', async (trx) => {
      const ended = await revokeSessions(trx, { userId }, 'logout');
      await audit(
        trx,
        auditOf(request, {
          action: 'user.loggedOutEverywhere',
          target: { kind: 'user', id: userId },
          after: { sessions: ended.length },
        }),
      );
    });
    return reply(204);
  },
});

const ListSessions = listQuery({
  item: SignedInSession,
  sorts: sessionSorts,
  defaultSort: '-lastUsedAt',
  filters: {},
});

const listSessions = userRoute({
  method: 'get',
  path: '/auth/sessions',
  name: 'listSessions',
  summary: 'Your sessions that go on: where and when you are signed in',
  tags,
  permission: 'self:read',
  query: ListSessions,
  answers: { 200: z.array(SignedInSession) },
  async handler({ deps, query, userId, principal }) {
    const { data, meta } = await acrossTenants(deps.db, 'identity', (trx) =>
      listPage(sessionsOf(trx, userId), {
        list: query,
        sorts: sessionSorts,
        present: (session) => presentSignedIn(session, principal.sessionId),
      }),
    );
    return reply(200, data, { meta });
  },
});

const revokeSession = userRoute({
  method: 'delete',
  path: '/auth/sessions/:id',
  name: 'revokeSession',
  summary: 'End one of your sessions',
  tags,
  permission: 'self:write',
  params: { id: 'session' },
  answers: { 204: null },
  async handler(request) {
    const { deps, userId, params } = request;
    await acrossTenants(deps.db, 'identity', async (trx) => {
      const ended = await revokeSessions(trx, { userId, only: params.id }, 'revoked');
      if (ended.length === 0) {
        throw notFound('session');
      }
      const target = { kind: 'session', id: params.id };
      await audit(trx, auditOf(request, { action: 'session.revoked', target }));
    });
    return reply(204);
  },
});

export const sessionRoutes = [refresh, logout, logoutAll, listSessions, revokeSession];

// The successor is made of both, under a key of ours, and kept nowhere: the same request gets the same
// one again, and who has stolen the token alone cannot make it.
function repeatableOf(
  { refreshHash }: ApiDeps,
  refreshToken: string,
  idempotencyKey: string | undefined,
): Repeatable | null {
  if (idempotencyKey === undefined) {
    return null;
  }
  requireUsableKey(idempotencyKey);
  const successor = ['first', 'second'].map((half) =>
    refreshHash(`${half} half: ${refreshToken} ${idempotencyKey}`),
  );
  return { digest: hashToken(idempotencyKey), successor: successor.join('') };
}

function presentSignedIn(
  session: Session,
  currentId: string | null,
): z.output<typeof SignedInSession> {
  return {
    id: session.id,
    kind: session.kind,
    isCurrent: session.id === currentId,
    isImpersonated: session.impersonatedBy !== null,
    createdAt: session.createdAt.toISOString(),
    lastUsedAt: session.lastUsedAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
    ip: session.ip,
    userAgent: session.userAgent,
  };
}
