import type { Knex } from 'knex';
import { describeLimit, type RateLimit } from '../../domain/messages/rateLimits';
import { ofAccounts, slowedTo } from './accountPace';
import { leaveOf, type Leave } from './leave';

/** Whether a call may be made for an account, shared by all workers and campaigns. */
export type RateAnswer =
  /** Nobody counts the calls of this account. */
  | { kind: 'unlimited' }
  /**
   * Yes, after this many milliseconds (at most a second) and before the windows end that it was
   * counted in.
   */
  | { kind: 'reserved'; waitMs: number; leave: Leave }
  | { kind: 'wait'; until: Date; reason: string }
  /** Never in one call: a limit is lower than its messages. */
  | { kind: 'tooLarge'; most: number };

/**
 * Reserves a call of so many messages, or several calls of one each, under all of the account's
 * limits, in one statement under its rows. In no window of the vendor's calendar are more reserved
 * than it allows: a reservation takes the first instant at which every limit has room. Within seconds
 * and minutes they are spread evenly and end a little before the window does, because a call needs a
 * moment to arrive.
 *
 * Tenants that ask for the same account at the same time are served alike: whoever was served more
 * than another one may only take a turn that is about to come, so that the other's is never far.
 *
 * Run it alone: a process that is stopped in a transaction of several statements would keep the
 * account from all others.
 */
export function reserveRate(db: Knex, call: RateCall): Promise<RateAnswer> {
  return answerRate(db, call, true);
}

/**
 * What `reserveRate` would answer now; nothing is reserved. Asked before a call is written, so that
 * nothing is written in vain.
 */
export async function lookAtRate(db: Knex, call: RateCall): Promise<RateAnswer> {
  return (await isFree(db, call.accountId)) ? { kind: 'unlimited' } : answerRate(db, call, false);
}

/** Whether nobody counts the account's calls and nothing keeps them back: known at a fraction of the cost. */
async function isFree(db: Knex, accountId: string): Promise<boolean> {
  const found = await ofAccounts(
    db,
    db
      .raw(
        `select 1 from provider_accounts a
        where a.id = ? and (a.blocked_until is null or a.blocked_until <= clock_timestamp())
          and not exists (select 1 from provider_limits l where l.account_id = a.id)`,
        [accountId],
      )
      .options({ name: 'isFree' }),
  );
  return found.length > 0;
}

/** Calls of a tenant that leave together, with so many messages in all. */
export interface RateCall {
  accountId: string;
  tenantId: string;
  calls: number;
  messages: number;
}

async function answerRate(db: Knex, call: RateCall, isReserved: boolean): Promise<RateAnswer> {
  let askedAtMs = 0;
  const [answer]: AccountRow[] = await ofAccounts(
    db,
    db
      .raw(
        `with account as materialized (
         select id, case when blocked_until > clock_timestamp() then blocked_until end as "blockedUntil",
                blocked_reason as "blockedReason", ${slowedTo} as slowed_to, kept_since, kept_until
           from provider_accounts where id = :accountId
       ), limits as materialized (
         select l.*, case l.unit when 'calls' then cast(:calls as int) else cast(:messages as int) end as cost
           from provider_limits l
          where l.account_id = :accountId
            and exists (select 1 from account where "blockedUntil" is null)
          order by l.per, l.unit ${isReserved ? 'for update' : ''}
       ), now as materialized (
         -- Once the rows are ours: whoever had them before has counted.
         select clock_timestamp() as at from (select count(*) from limits) as locked
       ), lengths as (
         select l.*, now.at, date_trunc(l.per, now.at, l.time_zone) as current, ${lengthOf} as length,
                ${marginOf} as margin
           from limits l, now
       ), windows as (
         select l.*, greatest(l.window_start, l.current) as start,
                case when l.window_start >= l.current then l.used else 0 end as counted,
                least(l.most, coalesce(floor(l.grows_from * power(l.grows_by,
                  greatest((l.at at time zone l.time_zone)::date - l.grows_since, 0))), l.most)) as whole,
                case when l.per in ('second', 'minute') then account.slowed_to else 1 end as slowed_to
           from lengths l, account
       ), left_over as (
         -- What transactional messages leave: the share that is kept for them is theirs alone.
         select w.*, w.whole - greatest(${keptOf('w', 'w.start')},
                  case when w.kept_window_start = w.start then w.kept_used else 0 end) as allowed,
                w.whole - ${keptOf('w', 'greatest(w.start, account.kept_since)')} as most_allowed
           from windows w, account
       ), ends as (
         -- One and a half lengths on lies in the next window, also where a day has 23 or 25 hours.
         select w.*, date_trunc(w.per, w.start + 1.5 * w.length, w.time_zone) as ends_at,
                greatest(w.at, w.start + case when w.per in ('second', 'minute')
                  then (w.length - w.margin) * (w.counted / greatest(w.allowed, 1) / w.slowed_to)::float8
                  else interval '0' end) as spread_at
           from left_over w
       ), rooms as (
         select e.*,
                -- Slowed down, a window takes less, but one call always goes into an empty one.
                case when e.counted + e.cost <= e.allowed
                       and (e.counted = 0 or e.counted + e.cost <= e.allowed * e.slowed_to)
                       and e.spread_at < e.ends_at - e.margin / 2
                  then e.spread_at else e.ends_at end as free_at
           from ends e
       ), latest as (
         select max(free_at) as at, bool_or(cost > most_allowed) as "isTooLarge",
                min(most_allowed) filter (where unit = 'messages' or :calls > 1) as "mostMessages",
                bool_or(per = 'second') as has_seconds,
                (array_agg(jsonb_build_object('per', per, 'unit', unit, 'most', whole,
                  'isSlowed', slowed_to < 1) order by free_at desc, per))[1] as "limitedBy"
           from rooms
       ), turn as (
         -- Another limit's turn may lie where a second is too close to its end.
         select l.*, case when l.has_seconds
                  and l.at >= date_trunc('second', l.at) + interval '875 milliseconds'
                  then date_trunc('second', l.at) + interval '1 second' else l.at end as "freeAt"
           from latest l
       ), shares as (
         -- Who is new or comes back begins where the least served of the others is.
         select coalesce(min(s.served) filter (where s.tenant_id = :tenantId),
                  min(s.served) filter (where s.tenant_id <> :tenantId), 0) as mine,
                min(s.served) filter (where s.tenant_id <> :tenantId) as others
           from provider_shares s
          where s.account_id = :accountId
            and s.asked_at > clock_timestamp() - interval '3 seconds'
       ), reach as (
         select case when others + :messages < mine then interval '200 milliseconds'
                  else interval '1 second' end as ahead, mine
           from shares
       ), due as (
         select r.account_id, r.per, r.unit, r.time_zone, r.length, r.margin, r.cost,
                date_trunc(r.per, turn."freeAt", r.time_zone) as due_start, r.start, r.counted
           from rooms r, turn, reach
          where turn."freeAt" <= r.at + reach.ahead and not turn."isTooLarge"
       ), served as (
         insert into provider_shares as s (account_id, tenant_id, served, asked_at)
         select :accountId, :tenantId, reach.mine, clock_timestamp()
           from reach, turn where turn."freeAt" is not null
         on conflict (account_id, tenant_id) do update
            set asked_at = excluded.asked_at,
                -- What was served before a break counts for nothing.
                served = case when s.asked_at > excluded.asked_at - interval '3 seconds'
                    then greatest(s.served, excluded.served) else excluded.served end
                  + ${isReserved ? 'case when exists (select 1 from due) then :messages else 0 end' : '0'}
          where ${isReserved ? 'true' : `s.asked_at < excluded.asked_at - interval '1 second'`}
       )${
         isReserved
           ? `, counted as (
         update provider_limits l
            set window_start = r.due_start,
                used = r.cost + case when r.due_start = r.start then r.counted else 0 end
           from due r
          where l.account_id = r.account_id and l.per = r.per and l.unit = r.unit
       )`
           : ''
       }
       select a."blockedUntil", a."blockedReason", turn."freeAt",
              case when turn."freeAt" <= clock_timestamp() + interval '1 second'
                then clock_timestamp() + interval '50 milliseconds' else turn."freeAt" end as "askAgainAt", turn."limitedBy", turn."isTooLarge",
              turn."mostMessages", (
                select min(date_trunc(per, due_start + 1.5 * length, time_zone) - margin / 2) from due
              ) as "leaveBefore", statement_timestamp() as "heardAt",
              greatest(extract(epoch from turn."freeAt" - clock_timestamp()) * 1000, 0)::float8 as "waitMs"
         from account a, turn`,
        { ...call },
      )
      .options({ name: isReserved ? 'reserveRate' : 'lookAtRate' }),
    () => void (askedAtMs = performance.now()),
  );
  if (answer === undefined) {
    throw new Error(`There is no provider account ${call.accountId}`);
  }
  if (answer.blockedUntil !== null) {
    return {
      kind: 'wait',
      until: answer.blockedUntil,
      reason: answer.blockedReason ?? 'providerThrottled',
    };
  }
  if (answer.freeAt === null || answer.limitedBy === null) {
    return { kind: 'unlimited' };
  }
  if (answer.isTooLarge === true) {
    return { kind: 'tooLarge', most: Number(answer.mostMessages) };
  }
  const { leaveBefore, heardAt } = answer;
  return leaveBefore === null
    ? {
        kind: 'wait',
        until: answer.askAgainAt ?? answer.freeAt,
        reason: describeLimit(answer.limitedBy),
      }
    : {
        kind: 'reserved',
        waitMs: answer.waitMs ?? 0,
        leave: leaveOf(askedAtMs, { leaveBefore, heardAt }),
      };
}

/** How long the window of a limit `l` is. */
export const lengthOf = `case l.per when 'second' then interval '1 second' when 'minute' then interval '1 minute'
  when 'hour' then interval '1 hour' else interval '1 day' end`;

/**
 * What of a window's `whole` is kept for transactional messages: a twentieth, in windows that begin
 * while they are about; campaigns always keep something.
 */
export function keptOf(limit: string, windowStart: string): string {
  return `case when account.kept_since <= ${windowStart} and ${windowStart} < account.kept_until
    then greatest(least(greatest(floor(${limit}.whole / 20), 1), ${limit}.whole - 1), 0) else 0 end`;
}

// What a call may take from its turn to its arrival, at the end of a window.
const marginOf = `case l.per when 'second' then interval '250 milliseconds' else interval '1 second' end`;

interface AccountRow {
  blockedUntil: Date | null;
  blockedReason: string | null;
  /** The turn of this call, null when the account has no limits. */
  freeAt: Date | null;
  askAgainAt: Date | null;
  limitedBy: (RateLimit & { isSlowed: boolean }) | null;
  isTooLarge: boolean | null;
  mostMessages: number | null;
  /** Null when nothing was reserved. */
  leaveBefore: Date | null;
  heardAt: Date;
  waitMs: number | null;
}
