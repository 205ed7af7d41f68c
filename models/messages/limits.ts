import type { Knex } from 'knex';
import type { RateLimit } from '../../domain/messages/rateLimits';
import { setLimits } from './accountLimits';
import { slowedTo } from './accountPace';

/** A run whose workflow is to hear that it need not wait any more. */
export interface WokenRun {
  tenantId: string;
  campaignId: string;
  runN: number;
}

interface Key {
  tenantId: string;
  id: string;
}

/**
 * Gives a tenant's account these limits and no others, and lets all that waits for one ask again.
 * Answers the runs that wait no more.
 */
export async function replaceLimits(
  trx: Knex.Transaction,
  key: Key,
  limits: readonly RateLimit[],
): Promise<WokenRun[]> {
  await setLimits(trx, key.id, limits);
  return wakeHeldUp(trx, key, `d.wait_reason like 'rateLimit%'`);
}

/**
 * Lets calls leave again although the vendor asked to wait, or could not be reached, and at full
 * pace. Answers the runs that wait no more.
 */
export async function liftBlock(trx: Knex.Transaction, key: Key): Promise<WokenRun[]> {
  await trx.raw(
    `update provider_accounts
        set blocked_until = null, blocked_reason = null, slowed_at = null, slowed_to = 1
      where id = :id and tenant_id = :tenantId`,
    { ...key },
  );
  return wakeHeldUp(
    trx,
    key,
    `d.wait_reason in ('providerThrottled', 'providerUnreachable', 'throttled', 'not_sent')`,
  );
}

/**
 * Makes what of the account's runs waits for this due at once. Campaigns' runs count as steered, so that a
 * workflow that is not told in time is reminded by the reconciler.
 */
async function wakeHeldUp(trx: Knex.Transaction, key: Key, waits: string): Promise<WokenRun[]> {
  const isHeldUp = `d.state = 'planned' and d.not_before > clock_timestamp() and ${waits}`;
  const woken = await trx.raw(
    `with runs as materialized (
       -- Before its dispatches, as whoever moves these to other waves.
       select r.id from campaign_runs r
        where r.account_id = :id and r.tenant_id = :tenantId
          and r.state in ('planning', 'waiting', 'sending')
          and exists (select 1 from dispatches d where d.run_id = r.id and ${isHeldUp})
        order by r.id for no key update
     ), waiting as materialized (
       select d.run_id, d.n from runs join dispatches d on d.run_id = runs.id
        where ${isHeldUp} order by d.run_id, d.n for update of d
     ), due as (
       update dispatches d set not_before = null, wait_reason = null
         from waiting w where d.run_id = w.run_id and d.n = w.n
       returning d.run_id
     )
     update campaign_runs r set steered_at = clock_timestamp()
      where r.id in (select run_id from due) and r.kind = 'campaign'
     returning r.tenant_id as "tenantId", r.campaign_id as "campaignId", r.n as "runN"`,
    { ...key },
  );
  return woken.rows;
}

/** How fast an account may go just now, and what waits for it. */
export interface AccountRate {
  blockedUntil: Date | null;
  blockedReason: string | null;
  pace: number;
  windows: {
    per: RateLimit['per'];
    unit: RateLimit['unit'];
    allowed: number;
    used: number;
    startsAt: Date;
  }[];
  waiting: { messages: number; until: Date | null };
}

/** The rate of a tenant's account; it moves on while it is looked at. */
export async function readRate(trx: Knex.Transaction, key: Key): Promise<AccountRate> {
  const account = await trx.raw(
    `select case when blocked_until > clock_timestamp() then blocked_until end as "blockedUntil",
            case when blocked_until > clock_timestamp() then blocked_reason end as "blockedReason",
            (${slowedTo})::float8 as pace
       from provider_accounts where id = :id and tenant_id = :tenantId`,
    { ...key },
  );
  const windows = await trx.raw(
    `select l.per, l.unit, least(l.most, coalesce(floor(l.grows_from * power(l.grows_by,
              greatest((now() at time zone l.time_zone)::date - l.grows_since, 0))), l.most))::int
              as allowed,
            case when l.window_start >= c.start then l.used else 0 end
              + case when l.kept_window_start = greatest(l.window_start, c.start)
                  then l.kept_used else 0 end as used,
            greatest(l.window_start, c.start) as "startsAt"
       from provider_limits l
      cross join lateral (select date_trunc(l.per, now(), l.time_zone) as start) c
      where l.account_id = :id order by l.unit, l.per`,
    { id: key.id },
  );
  const waiting = await trx.raw(
    `select coalesce(sum(d.message_count), 0) as messages, min(d.not_before) as until
       from campaign_runs r join dispatches d on d.run_id = r.id
      where r.account_id = :id and r.tenant_id = :tenantId
        and r.state in ('planning', 'waiting', 'sending')
        and d.state = 'planned' and d.not_before > clock_timestamp()
        and d.wait_reason is distinct from 'frequencyCap'`,
    { ...key },
  );
  return { ...account.rows[0], windows: windows.rows, waiting: waiting.rows[0] };
}
