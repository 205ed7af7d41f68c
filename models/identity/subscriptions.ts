import type { QueryBuilder } from 'objection';
import { AppError } from '../../domain/errors';
import {
  fallenTo,
  plans,
  planWith,
  type Feature,
  type PlanInForce,
} from '../../domain/identity/plans';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import type { SortKey } from '../pages';
import { pauseOpenRuns } from '../campaigns/heldRuns';
import { Subscription } from './Subscription';
import { SubscriptionChange } from './SubscriptionChange';

export const subscriptionChangeSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
} as const satisfies Record<string, SortKey>;

/** A subscription as it stands, or as it would without one. */
export type Subscribed = Pick<
  Subscription,
  'tenantId' | 'plan' | 'status' | 'expiresAt' | 'limits'
>;

export async function findSubscription(
  trx: Knex.Transaction,
  tenantId: string,
): Promise<Subscribed> {
  const stored = await Subscription.query(trx).findById(tenantId);
  return stored ?? { tenantId, plan: 'free', status: 'active', expiresAt: null, limits: {} };
}

/** The plan that holds now: what is past its end has fallen to free, also before anybody noted it. */
export async function findPlan(trx: Knex.Transaction, tenantId: string): Promise<PlanInForce> {
  return planInForce(await findSubscription(trx, tenantId), new Date());
}

/** What a subscription amounts to at an instant. */
export function planInForce(
  { plan, status, expiresAt, limits }: Subscribed,
  now: Date,
): PlanInForce {
  const isOver = status === 'expired' || (expiresAt !== null && expiresAt <= now);
  return isOver ? fallenTo : { plan, limits: { ...plans[plan].limits, ...limits } };
}

/**
 * Refuses what the tenant's plan has not.
 *
 * @throws planLimit featureNotInPlan
 */
export async function requireFeature(
  trx: Knex.Transaction,
  tenantId: string,
  feature: Feature,
): Promise<void> {
  const { plan } = await findPlan(trx, tenantId);
  if (!plans[plan].features.includes(feature)) {
    throw new AppError(
      'planLimit',
      'featureNotInPlan',
      `The plan ${plan} has no ${feature}; ${planWith(feature)} has.`,
      { details: { requiredPlan: planWith(feature), feature } },
    );
  }
}

/** Who changed a subscription. A payment vendor's notice would be the system's. */
export interface SubscriptionActor {
  kind: 'user' | 'system';
  id: string | null;
}

/** Changes a subscription, and notes what it became. */
export async function changeSubscription(
  trx: Knex.Transaction,
  wanted: Subscribed,
  { actor, reason }: { actor: SubscriptionActor; reason: string | null },
): Promise<Subscribed> {
  await Subscription.query(trx)
    .insert({ ...wanted })
    .onConflict('tenant_id')
    .merge({ ...wanted, updatedAt: trx.fn.now() });
  await SubscriptionChange.query(trx).insert({
    ...wanted,
    id: newId(),
    reason,
    actorKind: actor.kind,
    actorId: actor.id,
  });
  return findSubscription(trx, wanted.tenantId);
}

/** What a subscription was before. */
export function changesOf(
  trx: Knex.Transaction,
  tenantId: string,
): QueryBuilder<SubscriptionChange, SubscriptionChange[]> {
  return SubscriptionChange.query(trx).where({ tenant_id: tenantId });
}

/**
 * Notes which subscriptions are past their end, and pauses what their tenants send; nothing is
 * deleted. `trx` is one that may look across tenants. Answers how many there were.
 */
export async function expireSubscriptions(trx: Knex.Transaction): Promise<number> {
  const expired = await trx.raw(
    `with expired as (
       update subscriptions set status = 'expired', updated_at = now()
        where status <> 'expired' and expires_at <= now()
       returning tenant_id, plan, expires_at, limits
     ), noted as (
       insert into subscription_changes
         (tenant_id, id, plan, status, expires_at, limits, actor_kind)
       select tenant_id, gen_random_uuid(), plan, 'expired', expires_at, limits, 'system'
         from expired
     )
     select tenant_id as "tenantId" from expired`,
  );
  const tenantIds: string[] = expired.rows.map((row: { tenantId: string }) => row.tenantId);
  await pauseOpenRuns(trx, tenantIds, 'planExpired');
  return tenantIds.length;
}
