import type { Knex } from 'knex';
import { AppError } from '../../domain/errors';
import {
  planWithRoom,
  quotaNames,
  quotas,
  type CountedQuota,
  type PlanInForce,
  type Quota,
} from '../../domain/identity/plans';
import { findPlan } from './subscriptions';

interface Amount {
  tenantId: string;
  quota: CountedQuota;
  amount: number;
}

/** What of a quota is used, in the month that is now. */
export interface QuotaUsage {
  quota: Quota;
  used: number;
  /** What work that is under way may use beyond it. */
  reserved: number;
  limit: number | null;
  /** When it begins anew; null for what is not counted by month. */
  resetsAt: Date | null;
}

/**
 * Uses so much of a quota, in the transaction of what uses it: both happen or none. Two at once
 * cannot pass the limit, because the second waits for the first one's row.
 *
 * @throws planLimit quotaReached; nothing is used then
 */
export async function useQuota(trx: Knex.Transaction, use: Amount): Promise<void> {
  const plan = await findPlan(trx, use.tenantId);
  const used = await trx.raw(
    `insert into quota_usage as u (tenant_id, quota, period, used)
     select cast(:tenantId as uuid), cast(:quota as text), ${periodOf[quotas[use.quota].per]}, cast(:amount as bigint)
      where cast(:limit as bigint) is null or cast(:amount as bigint) <= :limit
     on conflict (tenant_id, quota, period) do update set used = u.used + excluded.used
      where cast(:limit as bigint) is null or u.used + u.reserved + excluded.used <= :limit
     returning used`,
    { ...use, limit: plan.limits[use.quota] },
  );
  if (used.rows.length === 0 && use.amount > 0) {
    throw await quotaReached(trx, use, plan);
  }
}

/** Gives back what is not there any more. */
export async function freeQuota(trx: Knex.Transaction, use: Amount): Promise<void> {
  await trx.raw(
    `update quota_usage set used = greatest(0, used - :amount)
      where tenant_id = :tenantId and quota = :quota
        and period = ${periodOf[quotas[use.quota].per]}`,
    { ...use },
  );
}

/**
 * Keeps so much of a quota for work that begins; `id` names the work. Asked again, it keeps the new
 * amount in place of the old one, in the month that is now, if the plan of now has room for all of it:
 * work that waited for a month or outlived its plan is measured by what holds when it goes on. With
 * `forMs` it counts as used when it is not settled by then.
 *
 * @throws planLimit quotaReached; what was kept before stays kept then
 */
export async function reserveQuota(
  trx: Knex.Transaction,
  work: Amount & { id: string; forMs?: number },
): Promise<void> {
  const plan = await findPlan(trx, work.tenantId);
  const values = { ...work, forMs: work.forMs ?? null, limit: plan.limits[work.quota] };
  // Of two who ask for the same work the second sees what the first one kept.
  await trx.raw(
    `with work as (
       insert into quota_reservations (tenant_id, quota, id, period, amount)
       values (:tenantId, :quota, :id, ${periodOf[quotas[work.quota].per]}, 0)
       on conflict do nothing
     )
     insert into quota_usage (tenant_id, quota, period)
     values (:tenantId, :quota, ${periodOf[quotas[work.quota].per]})
     on conflict do nothing`,
    values,
  );
  const kept = await trx.raw(
    `with work as (
       select period, amount, ${periodOf[quotas[work.quota].per]} as current
         from quota_reservations
        where tenant_id = :tenantId and quota = :quota and id = :id for update
     ), usage as (
       update quota_usage u
          set reserved = u.reserved + :amount
                - case when work.period = work.current then work.amount else 0 end
         from work
        where u.tenant_id = :tenantId and u.quota = :quota and u.period = work.current
          and (cast(:limit as bigint) is null or :limit >= u.used + u.reserved + :amount
                - case when work.period = work.current then work.amount else 0 end)
       returning 1
     ), earlier as (
       update quota_usage u set reserved = greatest(0, u.reserved - work.amount)
         from work
        where u.tenant_id = :tenantId and u.quota = :quota and u.period = work.period
          and work.period <> work.current and exists (select 1 from usage)
     )
     update quota_reservations r
        set amount = :amount, period = work.current,
            expires_at = clock_timestamp() + cast(:forMs as bigint) * interval '1 millisecond'
       from work
      where r.tenant_id = :tenantId and r.quota = :quota and r.id = :id
        and exists (select 1 from usage)
     returning r.amount`,
    values,
  );
  if (kept.rows.length === 0) {
    throw await quotaReached(trx, work, plan);
  }
}

/**
 * Ends a reservation: so much of it was used, the rest is free again. Work that had none, or has been
 * settled, changes nothing.
 */
export async function settleQuota(
  trx: Knex.Transaction,
  work: Amount & { id: string },
): Promise<void> {
  await trx.raw(
    `with work as (
       delete from quota_reservations
        where tenant_id = :tenantId and quota = :quota and id = :id
       returning tenant_id, quota, period, amount
     )
     update quota_usage u
        set reserved = greatest(0, u.reserved - work.amount), used = u.used + :amount
       from work
      where u.tenant_id = work.tenant_id and u.quota = work.quota and u.period = work.period`,
    { ...work },
  );
}

/**
 * Settles what processes kept that are gone, as used: what they counted is not known, and a limit is
 * not to be passed. `trx` is one that may look across tenants.
 */
export async function settleAbandonedQuotas(trx: Knex.Transaction): Promise<number> {
  const settled = await trx.raw(
    `with abandoned as (
       delete from quota_reservations where expires_at < clock_timestamp()
       returning tenant_id, quota, period, amount
     ), summed as (
       select tenant_id, quota, period, sum(amount) as amount from abandoned group by 1, 2, 3
     )
     update quota_usage u
        set reserved = greatest(0, u.reserved - s.amount), used = u.used + s.amount
       from summed s
      where u.tenant_id = s.tenant_id and u.quota = s.quota and u.period = s.period`,
  );
  return settled.rowCount;
}

/** All quotas of a tenant, with what is used of them now. */
export async function listUsage(
  trx: Knex.Transaction,
  tenantId: string,
  plan: PlanInForce,
): Promise<QuotaUsage[]> {
  const found = await trx.raw(
    `select quota, used, reserved from quota_usage
      where tenant_id = :tenantId and period in (${periodOf.month}, ${periodOf.tenant})
     union all
     select 'aiMicros', spent_micros, reserved_micros from llm_spend
      where tenant_id = :tenantId and scope = 'plan' and subject = '' and period = 'month'
        and starts_on = ${periodOf.month}`,
    { tenantId },
  );
  const rows: { quota: string; used: number; reserved: number }[] = found.rows;
  return quotaNames.map((quota) => {
    const row = rows.find((one) => one.quota === quota);
    return {
      quota,
      used: row?.used ?? 0,
      reserved: row?.reserved ?? 0,
      limit: plan.limits[quota],
      resetsAt: quotas[quota].per === 'month' ? nextMonth(new Date()) : null,
    };
  });
}

// In SQL, by the database's clock.
const periodOf = {
  month: `cast(date_trunc('month', statement_timestamp() at time zone 'UTC') as date)`,
  tenant: `cast('-infinity' as date)`,
} as const;

function nextMonth(now: Date): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1));
}

async function quotaReached(
  trx: Knex.Transaction,
  { tenantId, quota, amount }: Amount,
  plan: PlanInForce,
): Promise<AppError> {
  const usage = (await listUsage(trx, tenantId, plan)).find((one) => one.quota === quota);
  const used = (usage?.used ?? 0) + (usage?.reserved ?? 0);
  const limit = plan.limits[quota];
  return new AppError(
    'planLimit',
    'quotaReached',
    `The plan ${plan.plan} goes to ${limit} ${quota}; ${used} are used, and this needs ${amount} more.`,
    { details: { requiredPlan: planWithRoom(quota, used + amount), quota, used, limit } },
  );
}
