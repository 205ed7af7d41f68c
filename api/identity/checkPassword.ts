import { AppError } from '../../domain/errors';
import { addressKey } from '../../domain/identity/addressKey';
import { isPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import { firstTenantOf } from '../../models/identity/accounts';
import {
  clearAttempts,
  countAttempt,
  findSignIn,
  type Attempt,
} from '../../models/identity/attempts';
import { audit } from '../../models/identity/audit';
import type { User } from '../../models/identity/User';
import { auditOf, ipOf, type AuditedRequest } from '../audit';
import type { ApiDeps } from '../deps';
import { wrongCredentials } from './beginSession';

/** A request in which somebody says who they are. */
export type CheckedRequest = AuditedRequest & {
  readonly deps: Pick<ApiDeps, 'db' | 'addressHash'>;
};

/** A person whose password was right; what was counted as an attempt is still to be taken back. */
export interface CheckedPerson {
  readonly user: User;
  readonly subject: string;
}

/**
 * Finds the person of an address whose password this is. An address that nobody has takes as long, is
 * counted and is locked out alike, so that no answer tells who has an account.
 *
 * @throws unauthenticated wrongCredentials; rateLimited tooManyAttempts, for a right password as well
 */
export async function checkPassword(
  request: CheckedRequest,
  given: { email: string; password: string },
): Promise<CheckedPerson> {
  const { deps } = request;
  const email = given.email.trim();
  const { user, subject } = await findSubject(request, email);
  const attempt = await requireAttempt(deps, subject);
  const matches = await isPassword(given.password, user?.passwordHash);
  if (user === null || !matches || isOver(user)) {
    await rememberFailure(request, { userId: user?.id ?? null, email, attempt });
    throw wrongCredentials();
  }
  return { user, subject };
}

// A one-time password that nobody used in time.
function isOver({ passwordExpiresAt }: User): boolean {
  return passwordExpiresAt !== null && passwordExpiresAt.getTime() <= Date.now();
}

/**
 * Who has the address, and what attempts to be them are counted under. Attempts from where they have
 * been signed in are counted apart: strangers who lock the address out do not lock out its owner.
 */
export async function findSubject(
  { deps, context }: CheckedRequest,
  email: string,
): Promise<{ user: User | null; subject: string }> {
  const { user, isKnownNetwork } = await findSignIn(deps.db, { email, ip: ipOf(context) });
  const subjects = subjectsOf(deps, email);
  return { user, subject: isKnownNetwork ? subjects.known : subjects.elsewhere };
}

/** Both counters of an address: of networks its owner is known from, and of all others. */
export function subjectsOf({ addressHash }: Pick<ApiDeps, 'addressHash'>, email: string) {
  const key = addressKey(email);
  return { elsewhere: addressHash(key), known: addressHash(`${key} from a known network`) };
}

/**
 * What wrong codes are counted under beside an address's wrong passwords: whoever reads the mailbox can
 * set a password, which takes back those and not these.
 */
export function factorSubjectOf(
  { addressHash }: Pick<ApiDeps, 'addressHash'>,
  subject: string,
): string {
  return addressHash(`${subject} shows a second factor`);
}

/**
 * Counts an attempt.
 *
 * @throws rateLimited tooManyAttempts
 */
export async function requireAttempt(
  { db }: Pick<ApiDeps, 'db'>,
  subject: string,
): Promise<Attempt & { isAllowed: true }> {
  const attempt = await countAttempt(db, subject);
  if (!attempt.isAllowed) {
    throw new AppError(
      'rateLimited',
      'tooManyAttempts',
      'There were too many attempts with this address; wait, or set a new password by mail.',
      { retryAfterSeconds: attempt.retryAfterSeconds },
    );
  }
  return attempt;
}

/** Takes back all wrong passwords that were counted of a person, from wherever. */
export function forgiveAll(
  trx: Parameters<typeof clearAttempts>[0],
  deps: Pick<ApiDeps, 'addressHash'>,
  email: string,
): Promise<void> {
  const { elsewhere, known } = subjectsOf(deps, email);
  return clearAttempts(trx, [elsewhere, known]);
}

/** Remembers that somebody was not who they said, and when that locked the address out. */
export async function rememberFailure(
  request: CheckedRequest,
  { userId, email, attempt }: { userId: string | null; email: string; attempt: Attempt },
): Promise<void> {
  const { db, addressHash } = request.deps;
  await acrossTenants(db, 'identity', async (trx) => {
    const tenantId = await firstTenantOf(trx, userId);
    const target = { kind: 'user', id: userId };
    // An address that nobody has may be a person's all the same, or a password in the wrong field.
    const after = userId === null ? { addressDigest: addressHash(addressKey(email)) } : null;
    const entry = (action: 'user.loginFailed' | 'user.lockedOut') =>
      auditOf(request, {
        action,
        tenantId,
        actor: { kind: 'anonymous', id: null },
        target,
        after,
      });
    const locksOut = attempt.isAllowed && attempt.locksOut;
    await audit(trx, entry('user.loginFailed'), ...(locksOut ? [entry('user.lockedOut')] : []));
  });
}
