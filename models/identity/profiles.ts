import type { Knex } from '../../lib/db';
import { User } from './User';
import { endUserTokens } from './userTokens';

export interface ProfileValues {
  firstName: string | null;
  lastName: string | null;
  companyName: string | null;
  language: string | null;
  timeZone: string | null;
}

/** Writes the values over a person's profile. */
export async function replaceProfile(
  trx: Knex.Transaction,
  userId: string,
  values: ProfileValues,
): Promise<void> {
  await User.query(trx)
    .findById(userId)
    .patch({ ...values, updatedAt: new Date() });
}

/**
 * Gives a person another password, and ends all of their sessions but the one that asks, logins that
 * wait for the second factor and links to set a password. False when
 * the password has changed since its hash was read: of two changes at once one counts.
 */
export async function changePassword(
  trx: Knex.Transaction,
  change: { userId: string; from: string; to: string; sessionId: string | null },
): Promise<boolean> {
  const changed = await User.query(trx)
    .where({ id: change.userId, password_hash: change.from })
    .patch({
      passwordHash: change.to,
      passwordChangedAt: new Date(),
      passwordExpiresAt: null,
      updatedAt: new Date(),
    });
  if (changed === 0) {
    return false;
  }
  await trx.raw(
    `update sessions set revoked_at = now(), revoked_reason = 'passwordChanged'
      where (user_id = :userId or impersonated_by = :userId) and revoked_at is null
        and id is distinct from cast(:sessionId as uuid)`,
    { userId: change.userId, sessionId: change.sessionId },
  );
  await endUserTokens(trx, change.userId, ['resetPassword', 'mfaLogin']);
  return true;
}
