import type { Knex } from 'knex';
import { describeLimit, type RateLimit } from '../../domain/messages/rateLimits';
import { leaveOf, type Leave } from '../messages/leave';
import { ofAccounts } from '../messages/accountPace';
import { keptOf, lengthOf } from '../messages/rates';

/** How many of the calls that were asked for may leave now. */
export type KeptAnswer =
  /** Nobody counts the calls of this account. */
  | { kind: 'unlimited' }
  /** So many, at least one; the rest asks again at once. */
  | { kind: 'granted'; calls: number; leave: Leave }
  | { kind: 'wait'; until: Date; reason: string };

/**
 * Takes room for calls of one message each under all limits of an account, in one statement under its
 * rows. They take whatever room the window of this moment has, and are not spread over it as
 * campaigns are, which leave them the kept share of every window. Run it alone, as `reserveRate`.
 */
export async function reserveKept(db: Knex, accountId: string, calls: number): Promise<KeptAnswer> {
  let askedAtMs = 0;
  const [answer]: KeptRow[] = await ofAccounts(
    db,
    db
      .raw(
        `with account as materialized (
         select case when blocked_until > clock_timestamp() then blocked_until end as "blockedUntil",
                blocked_reason as "blockedReason", kept_since, kept_until
           from provider_accounts where id = :accountId
       ), limits as materialized (
         select * from provider_limits l
          where l.account_id = :accountId
            and exists (select 1 from account where "blockedUntil" is null)
          order by l.per, l.unit for update
       ), now as materialized (
         -- Once the rows are ours: whoever had them before has counted.
         select clock_timestamp() as at from (select count(*) from limits) as locked
       ), windows as (
         select l.*, now.at, date_trunc(l.per, now.at, l.time_zone) as start, ${lengthOf} as length,
                least(l.most, coalesce(floor(l.grows_from * power(l.grows_by,
                  greatest((now.at at time zone l.time_zone)::date - l.grows_since, 0))), l.most)) as whole
           from limits l, now
       ), counted as (
         select w.*, case when w.kept_window_start = w.start then w.kept_used else 0 end as mine,
                case when w.window_start = w.start then w.used
                     -- Campaigns are ahead in the next window: of this one they left what is kept.
                     when w.window_start > w.start then w.whole - ${keptOf('w', 'w.start')}
                     else 0 end as others,
                date_trunc(w.per, w.start + 1.5 * w.length, w.time_zone) as ends_at
           from windows w, account
       ), rooms as (
         select c.*, c.ends_at - case c.per when 'second' then interval '125 milliseconds'
                  else interval '250 milliseconds' end as leave_before,
                greatest(c.whole - c.others - c.mine, 0) as room
           from counted c
       ), turn as (
         select least(min(case when at < leave_before then room else 0 end), :calls)::int as granted,
                min(leave_before) as "leaveBefore",
                max(ends_at) filter (where room = 0 or at >= leave_before) as "freeAt",
                (array_agg(jsonb_build_object('per', per, 'unit', unit, 'most', whole,
                  'isSlowed', false) order by room, ends_at desc))[1] as "limitedBy"
           from rooms
       ), taken as (
         update provider_limits l
            set kept_window_start = r.start, kept_used = r.mine + turn.granted
           from rooms r, turn
          where l.account_id = r.account_id and l.per = r.per and l.unit = r.unit
            and turn.granted > 0
       )
       select a."blockedUntil", a."blockedReason", turn.*, statement_timestamp() as "heardAt"
         from account a, turn`,
        { accountId, calls },
      )
      .options({ name: 'reserveKept' }),
    () => void (askedAtMs = performance.now()),
  );
  if (answer === undefined) {
    throw new Error(`There is no provider account ${accountId}`);
  }
  if (answer.blockedUntil !== null) {
    const reason = answer.blockedReason ?? 'providerThrottled';
    return { kind: 'wait', until: answer.blockedUntil, reason };
  }
  const { granted, leaveBefore, limitedBy, heardAt } = answer;
  if (granted === null || leaveBefore === null || limitedBy === null) {
    return { kind: 'unlimited' };
  }
  return granted > 0
    ? { kind: 'granted', calls: granted, leave: leaveOf(askedAtMs, { leaveBefore, heardAt }) }
    : {
        kind: 'wait',
        until: answer.freeAt ?? leaveBefore,
        reason: describeLimit(limitedBy),
      };
}

interface KeptRow {
  blockedUntil: Date | null;
  blockedReason: string | null;
  /** Null, as what follows, when the account has no limits. */
  granted: number | null;
  leaveBefore: Date | null;
  freeAt: Date | null;
  limitedBy: (RateLimit & { isSlowed: boolean }) | null;
  heardAt: Date;
}
