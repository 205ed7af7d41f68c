import { addressKey } from '../../domain/identity/addressKey';
import type { Knex } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';
import { User } from './User';

/** So many wrong ones in a row are looked at; the next ones wait. */
export const attemptsInARow = 10;

const lockMinutes = 15;
const longestLockHours = 24;

/** What became of counting an attempt: whether it may be made. */
export type Attempt =
  | { isAllowed: true; locksOut: boolean }
  | { isAllowed: false; retryAfterSeconds: number };

/**
 * Counts an attempt before it is made, in one statement, so that of many at once no more than ten are
 * made. The tenth in a row locks for 15 minutes and each one after that for twice as long, a day at
 * most; a day without any begins anew. Whoever was right takes back what was counted.
 */
export async function countAttempt(db: Knex, subject: string): Promise<Attempt> {
  const raw = db
    .raw(
      `with counted as (
         insert into sign_in_failures as f (subject, failures, last_at)
         values (:subject, 1, clock_timestamp())
         on conflict (subject) do update
            set failures = ${nextCount}, last_at = clock_timestamp(),
                locked_until = case when ${nextCount} >= ${attemptsInARow}
                  then clock_timestamp() + least(interval '${longestLockHours} hours',
                    interval '${lockMinutes} minutes'
                      * power(2, least(${nextCount} - ${attemptsInARow}, 20))) end
          where f.locked_until is null or f.locked_until <= clock_timestamp()
         returning failures
       )
       select true as "isAllowed", failures >= ${attemptsInARow} as "locksOut",
              0 as "retryAfterSeconds"
         from counted
        union all
       select false, false,
              cast(ceil(extract(epoch from locked_until - clock_timestamp())) as int)
         from sign_in_failures
        where subject = :subject and not exists (select from counted)`,
      { subject: keyOf(subject) },
    )
    .options({ name: 'countAttempt' });
  const [, rows] = await acrossTenantsInOneTrip(
    db,
    'identity',
    // What a crash forgets of the last moment is a few attempts; none waits for the disk.
    [{ raw: db.raw('set local synchronous_commit = off') }, { raw }],
    { arePlansKept: true },
  );
  const row:
    | { isAllowed: boolean; locksOut: boolean; retryAfterSeconds: number | null }
    | undefined = rows?.[0];
  // Locked by somebody at the same moment, which the statement could not see yet.
  return row?.isAllowed === true
    ? { isAllowed: true, locksOut: row.locksOut }
    : {
        isAllowed: false,
        retryAfterSeconds: Math.max(1, row?.retryAfterSeconds ?? lockMinutes * 60),
      };
}

const nextCount = `(case when f.last_at < clock_timestamp() - interval '1 day' then 1 else f.failures + 1 end)`;

/** What was counted last was right, but is not all that is asked for: it alone is taken back. */
export async function forgiveAttempt(trx: Knex.Transaction, subject: string): Promise<void> {
  await trx.raw(
    `update sign_in_failures set failures = greatest(failures - 1, 0), locked_until = null
      where subject = ?`,
    [keyOf(subject)],
  );
}

/** The person is in, or has shown otherwise that it is them: all is forgiven. */
export async function clearAttempts(
  trx: Knex.Transaction,
  subjects: readonly string[],
): Promise<void> {
  await trx.raw('delete from sign_in_failures where subject = any(?)', [subjects.map(keyOf)]);
}

/**
 * Who has the address, and whether they have been signed in from this network within a month. One
 * trip, which is as long for an address that nobody has.
 */
export async function findSignIn(
  db: Knex,
  { email, ip }: { email: string; ip: string | null },
): Promise<{ user: User | null; isKnownNetwork: boolean }> {
  const key = addressKey(email);
  const user = db
    .raw('select * from users where email_key = ?', [key])
    .options({ name: 'findSignIn' });
  const network = db
    .raw(
      // A provider gives a household at least 64 bits of IPv6 to itself.
      `select exists (
         select 1 from users u join sessions s on s.user_id = u.id
          where u.email_key = :key and s.impersonated_by is null
            and s.created_at > now() - interval '30 days'
            and s.ip <<= set_masklen(cast(:ip as inet), case family(cast(:ip as inet))
                  when 6 then 64 else 32 end)) as "isKnown"`,
      { key, ip },
    )
    .options({ name: 'isKnownNetwork' });
  const [users, networks] = await acrossTenantsInOneTrip(
    db,
    'identity',
    [{ raw: user }, { raw: network }],
    { arePlansKept: true },
  );
  const row: object | undefined = users?.[0];
  return {
    user: row === undefined ? null : User.fromDatabaseJson(row),
    isKnownNetwork: networks?.[0].isKnown === true,
  };
}

function keyOf(subject: string): Buffer {
  return Buffer.from(subject, 'base64url');
}
