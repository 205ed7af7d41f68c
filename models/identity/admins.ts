import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { audit } from './audit';
import { User } from './User';

export type AdminMade =
  /** An account that did not exist, or was made so before and waits for its first password. */
  | 'created'
  /** Somebody's account, which has its own password. */
  | 'promoted'
  /** Somebody's account, which was left as it is. */
  | 'exists';

/**
 * Makes a platform admin, as only somebody at the machine can. Without `expiresAt` the password is for
 * good; with it, it opens nothing but the way to another one. An account that is somebody's becomes an
 * admin's only when `mayPromote` says so, and keeps its password.
 */
export async function makePlatformAdmin(
  trx: Knex.Transaction,
  admin: { email: string; passwordHash: string; expiresAt: Date | null; mayPromote: boolean },
): Promise<AdminMade> {
  const found = await User.query(trx)
    .whereRaw('email_key = lower(?)', [admin.email])
    .first()
    .forUpdate();
  const id = found?.id ?? newId();
  const made = await write(trx, id, found, admin);
  if (made !== 'exists') {
    await audit(trx, {
      tenantId: null,
      actor: { kind: 'operator', id: null },
      action: 'user.madePlatformAdmin',
      target: { kind: 'user', id },
      after: { made },
    });
  }
  return made;
}

async function write(
  trx: Knex.Transaction,
  id: string,
  found: User | undefined,
  { email, passwordHash, expiresAt, mayPromote }: Parameters<typeof makePlatformAdmin>[1],
): Promise<AdminMade> {
  const values = { passwordHash, passwordExpiresAt: expiresAt, isPlatformAdmin: true };
  if (found === undefined) {
    // Whoever is at the machine vouches for the address.
    await User.query(trx).insert({ id, email, emailVerifiedAt: new Date(), ...values });
    return 'created';
  }
  if (found.isPlatformAdmin && found.passwordExpiresAt !== null) {
    await User.query(trx).findById(id).patch(values);
    return 'created';
  }
  if (!mayPromote) {
    return 'exists';
  }
  await User.query(trx).findById(id).patch({ isPlatformAdmin: true, updatedAt: new Date() });
  return 'promoted';
}
