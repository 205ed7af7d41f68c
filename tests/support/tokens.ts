import type { Role } from '../../domain/identity/permissions';
import type { AccessTokens } from '../../lib/accessTokens';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { openSession } from '../../models/identity/sessions';

/** What tokens are made with: the database that is asked for each of them, and who signs them. */
export interface TokenDeps {
  readonly db: Knex;
  readonly accessTokens: Pick<AccessTokens, 'issue'>;
}

/** The hash of a random password that was thrown away. */
export const noPassword =
  '$argon2id$v=19$m=19456,t=2,p=1$vrnDVz+v+KlDZWHk/vSGLw$uUZNfwknsvEPKLewhM3DbLQa1C1NAj4aJSJZzXmJ3FU';

/** Somebody who is signed in. */
export interface SignedIn {
  userId: string;
  sessionId: string;
  token: string;
}

/** A new person with a role in the tenant, signed in just now, without HTTP and without a password. */
export async function signInAs(
  deps: TokenDeps,
  { tenantId, role }: { tenantId: string; role: Role },
): Promise<SignedIn> {
  const userId = newId();
  const sessionId = newId();
  await acrossTenants(deps.db, 'identity', async (trx) => {
    await trx('users').insert({
      id: userId,
      email: `${role}-${userId}@example.com`,
      password_hash: noPassword,
      email_verified_at: trx.fn.now(),
    });
    await trx('memberships').insert({ tenant_id: tenantId, user_id: userId, role });
    await openSession(trx, { id: sessionId, userId, tenantId, mfaAt: new Date() });
  });
  return { userId, sessionId, token: deps.accessTokens.issue({ userId, sessionId, tenantId }) };
}

/** A token of a new person with a role in the tenant. */
export async function tokenFor(
  deps: TokenDeps,
  tenantId: string,
  role: Role = 'owner',
): Promise<string> {
  const { token } = await signInAs(deps, { tenantId, role });
  return token;
}
