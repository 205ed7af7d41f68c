import { v5 } from 'uuid';
import { z } from 'zod';
import { AppError, conflict } from '../../domain/errors';
import { Login, MfaRequired, Registration, Session } from '../../domain/identity/schema';
import { newId } from '../../lib/ids';
import { requireGoodPassword } from '../../lib/passwordRules';
import { hashPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import { createAccount, findUserByEmail, type NewAccount } from '../../models/identity/accounts';
import { clearAttempts, forgiveAttempt } from '../../models/identity/attempts';
import type { User } from '../../models/identity/User';
import { issueUserToken } from '../../models/identity/userTokens';
import { auditOf, type AuditedRequest } from '../audit';
import { json } from '../bodies';
import { requireUsableKey } from '../idempotency';
import { publicRoute, reply } from '../route';
import {
  beginSession,
  presentBegun,
  requireUnchanged,
  wrongCredentials,
  type SignInRequest,
} from './beginSession';
import { checkPassword } from './checkPassword';
import { sendVerification } from './emailVerification';

const register = publicRoute({
  method: 'post',
  path: '/auth/register',
  name: 'register',
  summary: 'Create a tenant and its owner, logged in at once',
  description:
    'With an Idempotency-Key, sending the same registration again within ten minutes answers the same account with a fresh token.',
  tags: ['identity'],
  body: json(Registration),
  limit: 'auth',
  limitedAddress: ({ email }) => email,
  answers: { 201: Session },
  problems: ['emailTaken', 'idempotencyKeyReused', 'tooManyAttempts'],
  async handler(request) {
    const { deps, body, idempotencyKey } = request;
    requireGoodPassword('password', body.password, {
      email: body.email,
      names: [body.companyName, body.firstName, body.lastName],
    });
    const ids = accountIds(body.email, idempotencyKey);
    const values = {
      ...ids,
      companyName: body.companyName,
      email: body.email,
      passwordHash: await hashPassword(body.password),
      firstName: body.firstName ?? null,
      lastName: body.lastName ?? null,
      timeZone: body.timeZone,
      language: body.language,
    };
    const account = await createAccount(deps.db, values, registeredEntry(request, values));
    if (account !== null) {
      await sendVerification(request, account.user);
      return reply(201, await begin(request, account.user));
    }
    const repeated = await findRepeated(request, ids.userId, body);
    return reply(201, await begin(request, repeated), {
      headers: { 'Idempotency-Replayed': 'true' },
    });
  },
});

const login = publicRoute({
  method: 'post',
  path: '/auth/login',
  name: 'login',
  summary: 'Exchange an address and its password for an access token',
  description:
    'Whoever has a second factor gets an `mfaToken` in place of a session, for POST /auth/mfa/login. After ten wrong passwords in a row, whether anybody has the address or not, 429 says when the next one is looked at.',
  tags: ['identity'],
  body: json(Login),
  limit: 'auth',
  limitedAddress: ({ email }) => email,
  answers: { 200: z.union([Session, MfaRequired]) },
  problems: ['wrongCredentials', 'tooManyAttempts', 'userSuspended'],
  async handler(request) {
    const { deps, body } = request;
    const { user, subject } = await checkPassword(request, body);
    if (user.mfaEnabledAt !== null) {
      const mfaToken = await acrossTenants(deps.db, 'identity', async (trx) => {
        await requireUnchanged(trx, user);
        await forgiveAttempt(trx, subject);
        return issueUserToken(trx, { userId: user.id, purpose: 'mfaLogin' });
      });
      if (mfaToken === null) {
        throw wrongCredentials();
      }
      return reply(200, { mfaRequired: true as const, mfaToken });
    }
    const begun = await acrossTenants(deps.db, 'identity', async (trx) => {
      await requireUnchanged(trx, user);
      await clearAttempts(trx, [subject]);
      return beginSession(trx, request, { user });
    });
    return reply(200, presentBegun(begun, deps));
  },
});

export const authRoutes = [register, login];

async function begin(request: SignInRequest, user: User) {
  const begun = await acrossTenants(request.deps.db, 'identity', (trx) =>
    beginSession(trx, request, { user }),
  );
  return presentBegun(begun, request.deps);
}

// There is no tenant yet whose key it could be, so the key speaks for one address: the ids come
// from both, and a repeated registration finds its own account by them.
const registrationNamespace = '6f0f7a55-2f1c-5b0e-9a3f-8d1f6f2f5c11';

function accountIds(email: string, idempotencyKey: string | undefined) {
  if (idempotencyKey === undefined) {
    return { tenantId: newId(), userId: newId() };
  }
  requireUsableKey(idempotencyKey);
  const seed = `${email.toLowerCase()} ${idempotencyKey}`;
  return {
    tenantId: v5(`tenant ${seed}`, registrationNamespace),
    userId: v5(`user ${seed}`, registrationNamespace),
  };
}

function registeredEntry(request: AuditedRequest, { tenantId, userId, companyName }: NewAccount) {
  return auditOf(request, {
    id: tenantId,
    action: 'tenant.registered',
    tenantId,
    actor: { kind: 'user', id: userId },
    target: { kind: 'tenant', id: tenantId },
    after: { companyName },
  });
}

// A lost answer is asked for again at once. Later, or past a second factor, that would be a login
// which nobody guards.
const repeatedWithinMs = 10 * 60_000;

async function findRepeated(
  request: SignInRequest,
  userId: string,
  body: z.output<typeof Registration>,
): Promise<User> {
  const found = await findUserByEmail(request.deps.db, body.email);
  if (found?.id !== userId || !isFresh(found)) {
    throw conflict('emailTaken', 'This address has an account already; log in instead.');
  }
  const { user, subject } = await checkPassword(request, body).catch((error: unknown) => {
    throw error instanceof AppError && error.code === 'wrongCredentials' ? keyReused() : error;
  });
  await acrossTenants(request.deps.db, 'identity', (trx) => forgiveAttempt(trx, subject));
  const isSame =
    user.companyName === body.companyName &&
    user.firstName === (body.firstName ?? null) &&
    user.lastName === (body.lastName ?? null);
  if (!isSame) {
    throw keyReused();
  }
  return user;
}

function isFresh({ mfaEnabledAt, suspendedAt, createdAt }: User): boolean {
  return (
    mfaEnabledAt === null &&
    suspendedAt === null &&
    createdAt.getTime() > Date.now() - repeatedWithinMs
  );
}

function keyReused(): AppError {
  return conflict(
    'idempotencyKeyReused',
    'This Idempotency-Key was used for another registration; take a new one.',
  );
}
