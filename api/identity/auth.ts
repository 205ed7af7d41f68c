import { v5 } from 'uuid';
import type { z } from 'zod';
import { AppError, conflict } from '../../domain/errors';
import { Login, Registration, Session } from '../../domain/identity/schema';
import { newId } from '../../lib/ids';
import { hashPassword, isPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import {
  createAccount,
  findAccount,
  findUserByEmail,
  firstTenantOf,
  type NewAccount,
} from '../../models/identity/accounts';
import { audit } from '../../models/identity/audit';
import { openSession } from '../../models/identity/sessions';
import type { User } from '../../models/identity/User';
import { auditOf, type AuditedRequest } from '../audit';
import type { ApiDeps } from '../deps';
import { json } from '../bodies';
import { requireUsableKey } from '../idempotency';
import { publicRoute, reply } from '../route';
import { presentSession } from './present';

const register = publicRoute({
  method: 'post',
  path: '/auth/register',
  name: 'register',
  summary: 'Create a tenant and its owner, logged in at once',
  description:
    'With an Idempotency-Key, sending the same registration again answers the same account with a fresh token.',
  tags: ['identity'],
  body: json(Registration),
  limit: 'auth',
  limitedAddress: ({ email }) => email,
  answers: { 201: Session },
  problems: ['emailTaken', 'idempotencyKeyReused'],
  async handler(request) {
    const { deps, body, idempotencyKey } = request;
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
      return reply(201, await begin(request, account.user.id));
    }
    const repeated = await findRepeated(deps, ids.userId, body);
    return reply(201, await begin(request, repeated.id), {
      headers: { 'Idempotency-Replayed': 'true' },
    });
  },
});

const login = publicRoute({
  method: 'post',
  path: '/auth/login',
  name: 'login',
  summary: 'Exchange an address and its password for an access token',
  tags: ['identity'],
  body: json(Login),
  limit: 'auth',
  limitedAddress: ({ email }) => email,
  answers: { 200: Session },
  problems: ['wrongCredentials'],
  async handler(request) {
    const { deps, body } = request;
    const user = await findUserByEmail(deps.db, body.email.trim());
    const matches = await isPassword(body.password, user?.passwordHash);
    if (user === null || !matches) {
      await rememberFailure(request, user?.id ?? null, body.email.trim());
      throw wrongCredentials();
    }
    return reply(200, await begin(request, user.id));
  },
});

export const authRoutes = [register, login];

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

/** Signs somebody in: a session of its own, and its first token. */
async function begin(request: SignInRequest, userId: string) {
  const { deps } = request;
  const sessionId = newId();
  const account = await acrossTenants(deps.db, 'identity', async (trx) => {
    const found = await findAccount(trx, { userId });
    if (found === null) {
      return null;
    }
    const tenantId = found.place?.tenant.id ?? null;
    await openSession(trx, { id: sessionId, userId, tenantId });
    const actor = { kind: 'user', id: userId } as const;
    const target = { kind: 'user', id: userId };
    const after = { sessionId };
    await audit(trx, auditOf(request, { action: 'user.loggedIn', tenantId, actor, target, after }));
    return findAccount(trx, { userId, tenantId });
  });
  if (account === null) {
    throw wrongCredentials();
  }
  return presentSession(account, sessionId, deps.accessTokens);
}

type SignInRequest = AuditedRequest & { readonly deps: ApiDeps };

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

// An address that nobody has may be a person's all the same, or a password in the wrong field.
async function rememberFailure(
  request: SignInRequest,
  userId: string | null,
  email: string,
): Promise<void> {
  const { db, addressHash } = request.deps;
  await acrossTenants(db, 'identity', async (trx) => {
    const tenantId = await firstTenantOf(trx, userId);
    const target = { kind: 'user', id: userId };
    const after = userId === null ? { addressDigest: addressHash(email.toLowerCase()) } : null;
    await audit(trx, auditOf(request, { action: 'user.loginFailed', tenantId, target, after }));
  });
}

function wrongCredentials(): AppError {
  return new AppError(
    'unauthenticated',
    'wrongCredentials',
    'There is no account with this address and password.',
  );
}

async function findRepeated(
  deps: ApiDeps,
  userId: string,
  body: z.output<typeof Registration>,
): Promise<User> {
  const user = await findUserByEmail(deps.db, body.email);
  if (user?.id !== userId) {
    throw conflict('emailTaken', 'This address has an account already; log in instead.');
  }
  const isSame =
    user.companyName === body.companyName &&
    user.firstName === (body.firstName ?? null) &&
    user.lastName === (body.lastName ?? null) &&
    (await isPassword(body.password, user.passwordHash));
  if (!isSame) {
    throw conflict(
      'idempotencyKeyReused',
      'This Idempotency-Key was used for another registration; take a new one.',
    );
  }
  return user;
}
