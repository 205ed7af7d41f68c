import type { Knex } from 'knex';

/** What a look at the standing runs found to do. */
export interface Tended {
  expired: number;
  unconfirmed: number;
  forgotten: number;
  ended: number;
}

/**
 * Ends what no call ends: messages whose window is over, doubts that were held to their deadline, and
 * the runs of days before that have nothing open. What ended messages said is forgotten. Changes
 * nothing when it is repeated.
 */
export async function tendStandingRuns(trx: Knex.Transaction): Promise<Tended> {
  const expired = await trx.raw(
    `update dispatches d
        set state = 'expired', settled_at = clock_timestamp(), not_before = null,
            wait_reason = null
       from waves w
      where d.is_transactional and d.state = 'planned' and w.run_id = d.run_id
        and w.plan_version = d.plan_version and w.n = d.wave_n
        and w.closes_at <= clock_timestamp()`,
  );
  const unconfirmed = await trx.raw(
    `update dispatches
        set state = 'unconfirmed', settled_at = clock_timestamp(), doubt_until = null
      where is_transactional and state = 'in_doubt' and doubt_until <= clock_timestamp()`,
  );
  const forgotten = await trx.raw(
    `delete from transactional_contents c using dispatches d
      where d.run_id = c.run_id and d.n = c.n
        and d.state not in ('planned', 'claimed', 'calling', 'in_doubt')`,
  );
  // A request of the day before that is still being written has been so for less than an hour.
  const ended = await trx.raw(
    `update campaign_runs r
        set state = 'completed', gate = 'closed', completed_at = clock_timestamp(),
            updated_at = clock_timestamp()
      where r.kind = 'transactional' and r.state = 'sending'
        and r.day < cast((clock_timestamp() - interval '1 hour') at time zone 'UTC' as date)
        and not exists (
          select 1 from dispatches d
           where d.run_id = r.id and d.state in ('planned', 'claimed', 'calling'))
        and not exists (
          select 1 from dispatches d
           where d.is_transactional and d.state = 'in_doubt' and d.run_id = r.id)`,
  );
  return {
    expired: expired.rowCount,
    unconfirmed: unconfirmed.rowCount,
    forgotten: forgotten.rowCount,
    ended: ended.rowCount,
  };
}
