import type { Knex } from '../../lib/db';
import { hashToken, newToken } from '../../lib/tokens';

export type UserTokenPurpose = 'resetPassword' | 'verifyEmail' | 'mfaLogin';

const minutes: Readonly<Record<UserTokenPurpose, number>> = {
  resetPassword: 60,
  verifyEmail: 3 * 24 * 60,
  mfaLogin: 5,
};

// So many mails of one kind may wait in a person's inbox: whoever can ask for them is anybody.
const mailsAnHour = 5;

/**
 * A token for one purpose of one person, good once. Null when there are too many of its kind: of those
 * that are sent by mail five an hour, and no two within a minute.
 */
export async function issueUserToken(
  trx: Knex.Transaction,
  { userId, purpose }: { userId: string; purpose: UserTokenPurpose },
): Promise<string | null> {
  const { token, hash } = newToken();
  // Of two at once one waits for the other here, and counts it.
  await trx.raw('select 1 from users where id = ? for update', [userId]);
  const issued = await trx.raw(
    `insert into user_tokens (hash, user_id, purpose, expires_at)
     select :hash, :userId, :purpose, clock_timestamp() + make_interval(mins => :minutes)
      where :purpose = 'mfaLogin' or not exists (
        select 1 from user_tokens
         where user_id = :userId and purpose = :purpose
           and created_at > clock_timestamp() - interval '1 hour'
        having count(*) >= :mailsAnHour
            or max(created_at) > clock_timestamp() - interval '1 minute')
     returning hash`,
    { hash, userId, purpose, minutes: minutes[purpose], mailsAnHour },
  );
  return issued.rows.length > 0 ? token : null;
}

/** Whose token it is, while it is good; it stays so. */
export async function findUserToken(
  trx: Knex.Transaction,
  token: string,
  purpose: UserTokenPurpose,
): Promise<string | null> {
  const found = await trx.raw(
    `select user_id as "userId" from user_tokens
      where hash = :hash and purpose = :purpose and used_at is null
        and expires_at > clock_timestamp()`,
    { hash: hashToken(token), purpose },
  );
  const row: { userId: string } | undefined = found.rows[0];
  return row?.userId ?? null;
}

/** Takes the token, which is over then, and answers whose it was: of many at once one gets it. */
export async function takeUserToken(
  trx: Knex.Transaction,
  token: string,
  purpose: UserTokenPurpose,
): Promise<string | null> {
  const taken = await trx.raw(
    `update user_tokens set used_at = clock_timestamp()
      where hash = :hash and purpose = :purpose and used_at is null
        and expires_at > clock_timestamp()
     returning user_id as "userId"`,
    { hash: hashToken(token), purpose },
  );
  const row: { userId: string } | undefined = taken.rows[0];
  return row?.userId ?? null;
}

/** Ends all tokens of these purposes that the person has. */
export async function endUserTokens(
  trx: Knex.Transaction,
  userId: string,
  purposes: readonly UserTokenPurpose[],
): Promise<void> {
  await trx.raw(
    `update user_tokens set used_at = clock_timestamp()
      where user_id = :userId and purpose = any(:purposes) and used_at is null`,
    { userId, purposes: [...purposes] },
  );
}
