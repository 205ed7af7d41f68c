import { v5 } from 'uuid';
import type { z } from 'zod';
import { AppError, conflict } from '../../domain/errors';
import { Login, Registration, Session } from '../../domain/identity/schema';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { hashPassword, isPassword } from '../../lib/passwords';
import {
  createAccount,
  findAccountByEmail,
  recordLogin,
  type Account,
} from '../../models/identity/accounts';
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
  answers: { 201: Session },
  problems: ['emailTaken', 'idempotencyKeyReused'],
  async handler({ deps, body, idempotencyKey }) {
    const ids = accountIds(body.email, idempotencyKey);
    const account = await createAccount(deps.db, {
      ...ids,
      companyName: body.companyName,
      email: body.email,
      passwordHash: await hashPassword(body.password),
      firstName: body.firstName ?? null,
      lastName: body.lastName ?? null,
      timeZone: body.timeZone,
      language: body.language,
    });
    if (account !== null) {
      return reply(201, presentSession(account, deps.accessTokens));
    }
    const repeated = await findRepeated(deps.db, ids.userId, body);
    return reply(201, presentSession(repeated, deps.accessTokens), {
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
  answers: { 200: Session },
  problems: ['wrongCredentials'],
  async handler({ deps, body }) {
    const account = await findAccountByEmail(deps.db, body.email.trim());
    const matches = await isPassword(body.password, account?.user.passwordHash);
    if (account === null || !matches) {
      throw new AppError(
        'unauthenticated',
        'wrongCredentials',
        'There is no account with this address and password.',
      );
    }
    await recordLogin(deps.db, account.user);
    return reply(200, presentSession(account, deps.accessTokens));
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

async function findRepeated(
  db: Knex,
  userId: string,
  body: z.output<typeof Registration>,
): Promise<Account> {
  const account = await findAccountByEmail(db, body.email);
  if (account === null || account.user.id !== userId) {
    throw conflict('emailTaken', 'This address has an account already; log in instead.');
  }
  const isSame =
    account.tenant.name === body.companyName &&
    account.user.firstName === (body.firstName ?? null) &&
    account.user.lastName === (body.lastName ?? null) &&
    (await isPassword(body.password, account.user.passwordHash));
  if (!isSame) {
    throw conflict(
      'idempotencyKeyReused',
      'This Idempotency-Key was used for another registration; take a new one.',
    );
  }
  return account;
}
