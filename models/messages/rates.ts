import type { Knex } from 'knex';

/** Whether a call may be made for an account, shared by all workers and campaigns. */
export type RateAnswer =
  /** Yes, after this many milliseconds (at most a second). */
  { kind: 'reserved'; waitMs: number } | { kind: 'wait'; until: Date; reason: string };

/** Writes a new account with the limit that is configured (0 means none); a row that is there counts. */
export async function ensureAccount(
  trx: Knex | Knex.Transaction,
  accountId: string,
  limitPerMinute: number,
): Promise<void> {
  await trx.raw(
    `insert into provider_accounts (id, limit_per_minute) values (:accountId, :limit)
     on conflict (id) do nothing`,
    { accountId, limit: limitPerMinute === 0 ? null : limitPerMinute },
  );
}

/**
 * Reserves a number of messages at the account's rate, in one statement under its row. Every call of
 * every tenant wants that row: run it alone, so that a process that is stopped in a transaction of
 * several statements never keeps it from the others.
 */
export async function reserveRate(
  trx: Knex | Knex.Transaction,
  accountId: string,
  messages: number,
): Promise<RateAnswer> {
  const reserved = await trx
    .raw(
      `with reserved as (
       update provider_accounts
          set next_free_at = greatest(next_free_at, clock_timestamp())
                + :messages * interval '1 minute' / limit_per_minute
        where id = :accountId and limit_per_minute is not null
          and next_free_at <= clock_timestamp() + interval '1 second'
          and coalesce(blocked_until, '-infinity') <= clock_timestamp()
       returning next_free_at - :messages * interval '1 minute' / limit_per_minute as free_at
     )
     select a.limit_per_minute as "limit", a.next_free_at as "freeAt",
            a.blocked_reason as "blockedReason",
            case when a.blocked_until > clock_timestamp() then a.blocked_until end as "blockedUntil",
            case when r.free_at is not null then
              greatest(extract(epoch from r.free_at - clock_timestamp()) * 1000, 0)::float8
            end as "waitMs"
       from provider_accounts a left join reserved r on true
      where a.id = :accountId`,
      { accountId, messages },
    )
    .options({ name: 'reserveRate' });
  const account: AccountRow | undefined = reserved.rows[0];
  if (account === undefined) {
    throw new Error(`There is no provider account ${accountId}`);
  }
  if (account.blockedUntil !== null) {
    return {
      kind: 'wait',
      until: account.blockedUntil,
      reason: account.blockedReason ?? 'providerThrottled',
    };
  }
  if (account.limit === null) {
    return { kind: 'reserved', waitMs: 0 };
  }
  return account.waitMs === null
    ? { kind: 'wait', until: account.freeAt, reason: 'rateLimit' }
    : { kind: 'reserved', waitMs: account.waitMs };
}

/**
 * Stops the whole account for a while, as the vendor asked or because it can't be reached. Alone for
 * the same reason; lost in a crash, the next call is told again.
 */
export async function blockAccount(
  trx: Knex | Knex.Transaction,
  accountId: string,
  block: { forMs: number; reason: string },
): Promise<void> {
  await trx.raw(
    `update provider_accounts
        set blocked_until = greatest(coalesce(blocked_until, '-infinity'),
              clock_timestamp() + :forMs * interval '1 millisecond'),
            blocked_reason = :reason
      where id = :accountId`,
    { accountId, ...block },
  );
}

interface AccountRow {
  limit: number | null;
  freeAt: Date;
  blockedUntil: Date | null;
  blockedReason: string | null;
  waitMs: number | null;
}
