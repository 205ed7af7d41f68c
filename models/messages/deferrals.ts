import type { Knex } from 'knex';
import { slowedTo } from './accountPace';

// A few mailboxes that are full are nobody's wish to slow down.
const leastDeferred = 20;
const mostDeferredShare = 0.1;
// What was told so long ago counts about a third.
const fadesInSeconds = 120;
// A slower pace needs a while to show in what recipients' servers say.
const slowAgainAfterSeconds = 60;

/**
 * Counts, of events that were applied, how many messages of each account were put off by recipients'
 * servers and how many arrived, and slows an account down whose share of the former is too high over
 * the last minutes. What happened before these does not count, however late it is told. One
 * statement for a batch, in a transaction of its own after it: an account's row is wanted by others,
 * and a batch that a crash keeps from being counted is missed by nobody. Answers who was slowed down.
 */
export async function noteDeferrals(
  trx: Knex.Transaction,
  eventIds: readonly number[],
): Promise<string[]> {
  const slowed = await trx
    .raw(
      `with told as materialized (
         select r.account_id, count(*) as told,
                count(*) filter (where e.kind = 'deferred') as deferred
           from message_events e join campaign_runs r on r.id = e.run_id
          where e.id = any(cast(:eventIds as bigint[])) and e.kind in ('deferred', 'delivered')
            and e.occurred_at > clock_timestamp() - :fadesIn * interval '2 seconds'
            and r.account_id is not null
          group by r.account_id
       ), counted as (
         insert into provider_deferrals as p (account_id, told, deferred, at)
         select account_id, told, deferred, clock_timestamp() from told order by account_id
         on conflict (account_id) do update
            set told = p.told * ${remains} + excluded.told,
                deferred = p.deferred * ${remains} + excluded.deferred, at = excluded.at
         returning account_id, told, deferred
       )
       update provider_accounts a
          set slowed_to = greatest(${slowedTo} / 2, 0.05), slowed_at = clock_timestamp()
         from counted c
        where a.id = c.account_id and c.deferred >= :leastDeferred
          and c.deferred > c.told * :mostShare
          and coalesce(a.slowed_at, '-infinity')
            < clock_timestamp() - :slowAgainAfter * interval '1 second'
       returning a.id`,
      {
        eventIds,
        fadesIn: fadesInSeconds,
        leastDeferred,
        mostShare: mostDeferredShare,
        slowAgainAfter: slowAgainAfterSeconds,
      },
    )
    .options({ name: 'noteDeferrals' });
  const rows: { id: string }[] = slowed.rows;
  return rows.map(({ id }) => id);
}

const remains = `exp(-extract(epoch from excluded.at - p.at) / :fadesIn)`;
