import type { Knex } from '../../lib/db';
import { revokeSessions } from './sessions';
import { endUserTokens, findUserToken, takeUserToken } from './userTokens';

/**
 * Gives a person another password by the token of a mail, which shows that the address is theirs, too.
 * All of their sessions and all other tokens that were sent to them are over. Answers who it was; null
 * when the token is over, which it is after this: of many at once one sets the password.
 */
export async function resetPassword(
  trx: Knex.Transaction,
  { token, passwordHash }: { token: string; passwordHash: string },
): Promise<{ userId: string; email: string } | null> {
  const userId = await findUserToken(trx, token, 'resetPassword');
  if (userId === null) {
    return null;
  }
  // The person first, as whoever changes the password or logs in does: none waits for another in turn.
  await trx.raw('select 1 from users where id = ? for update', [userId]);
  if ((await takeUserToken(trx, token, 'resetPassword')) === null) {
    return null;
  }
  const written = await trx.raw(
    `update users
        set password_hash = :passwordHash, password_changed_at = clock_timestamp(),
            password_expires_at = null, updated_at = clock_timestamp(),
            email_verified_at = coalesce(email_verified_at, clock_timestamp())
      where id = :userId
     returning email`,
    { userId, passwordHash },
  );
  await revokeSessions(trx, { userId }, 'passwordReset');
  await endUserTokens(trx, userId, ['resetPassword', 'verifyEmail', 'mfaLogin']);
  return { userId, email: written.rows[0].email };
}
