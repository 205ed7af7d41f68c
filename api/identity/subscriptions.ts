import { z } from 'zod';
import { notFound } from '../../domain/errors';
import { planNames, plans } from '../../domain/identity/plans';
import {
  PlanShape,
  QuotaUsageShape,
  SubscriptionChangeShape,
  SubscriptionShape,
  SubscriptionWish,
} from '../../domain/identity/subscriptions/schema';
import { audit } from '../../models/identity/audit';
import { listUsage, type QuotaUsage } from '../../models/identity/quotas';
import type { SubscriptionChange } from '../../models/identity/SubscriptionChange';
import {
  changesOf,
  changeSubscription,
  findPlan,
  findSubscription,
  planInForce,
  subscriptionChangeSorts,
  type Subscribed,
} from '../../models/identity/subscriptions';
import { Tenant } from '../../models/identity/Tenant';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { listPage, listQuery } from '../lists';
import { adminRoute, publicRoute, reply, route } from '../route';

const tags = ['identity'];
const params = { id: 'tenant' } as const;

const listPlans = publicRoute({
  method: 'get',
  path: '/plans',
  name: 'listPlans',
  summary: 'The plans there are, with what each has and how much of it',
  tags,
  answers: { 200: z.array(PlanShape) },
  meta: z.object({ total: z.int() }),
  async handler() {
    const all = planNames.map((name) => ({
      name,
      features: [...plans[name].features],
      limits: plans[name].limits,
    }));
    return reply(200, all, { meta: { total: all.length } });
  },
});

const getOwn = route({
  method: 'get',
  path: '/users/me/subscription',
  name: 'getMySubscription',
  summary: 'The plan of the tenant you work in',
  tags,
  permission: 'subscription:read',
  answers: { 200: SubscriptionShape },
  async handler({ inTenant, tenantId }) {
    return reply(200, present(await inTenant((trx) => findSubscription(trx, tenantId))));
  },
});

const get = route({
  method: 'get',
  path: '/tenants/:id/subscription',
  name: 'getSubscription',
  summary: 'The plan of a tenant, and how it stands',
  tags,
  permission: 'subscription:read',
  params,
  answers: { 200: SubscriptionShape },
  async handler({ params: { id }, inTenant, tenantId }) {
    requireOwn(id, tenantId);
    return reply(200, present(await inTenant((trx) => findSubscription(trx, tenantId))));
  },
});

const listChanges = route({
  method: 'get',
  path: '/tenants/:id/subscription/changes',
  name: 'listSubscriptionChanges',
  summary: 'What the subscription became over time, by whom and why',
  tags,
  permission: 'subscription:read',
  params,
  query: listQuery({
    item: SubscriptionChangeShape,
    sorts: subscriptionChangeSorts,
    defaultSort: '-createdAt',
    filters: {},
  }),
  answers: { 200: z.array(SubscriptionChangeShape) },
  async handler({ params: { id }, query, inTenant, tenantId }) {
    requireOwn(id, tenantId);
    const { data, meta } = await inTenant((trx) =>
      listPage(changesOf(trx, tenantId), {
        list: query,
        sorts: subscriptionChangeSorts,
        present: presentChange,
      }),
    );
    return reply(200, data, { meta });
  },
});

const getUsage = route({
  method: 'get',
  path: '/tenants/:id/usage',
  name: 'getUsage',
  summary: 'How much of the plan is used, and kept for work under way',
  description:
    'Requests are counted in memory and written within seconds. Messages of a campaign are reserved when it is scheduled and counted when it has ended.',
  tags,
  permission: 'subscription:read',
  params,
  answers: { 200: z.array(QuotaUsageShape) },
  meta: z.object({ total: z.int() }),
  async handler({ params: { id }, inTenant, tenantId }) {
    requireOwn(id, tenantId);
    const usage = await inTenant(async (trx) =>
      listUsage(trx, tenantId, await findPlan(trx, tenantId)),
    );
    return reply(200, usage.map(presentUsage), { meta: { total: usage.length } });
  },
});

const replace = adminRoute({
  method: 'put',
  path: '/tenants/:id/subscription',
  name: 'replaceSubscription',
  summary: 'Change the plan of a tenant',
  description:
    'Holds at once. A smaller plan takes nothing away that is there; it keeps more from being added. Campaigns that were paused for the plan’s sake are resumed by the tenant.',
  tags,
  permission: 'platform:write',
  params,
  body: json(SubscriptionWish),
  answers: { 200: SubscriptionShape },
  async handler(request) {
    const { params: given, body, ifMatch, userId, acrossTenants } = request;
    const tenantId = given.id;
    const changed = await acrossTenants(async (trx) => {
      const tenant = await Tenant.query(trx).findById(tenantId).forUpdate();
      if (tenant === undefined) {
        throw notFound('tenant');
      }
      const before = await findSubscription(trx, tenantId);
      requireUnchanged(ifMatch, present(before));
      const { reason, expiresAt, ...wanted } = body;
      const after = await changeSubscription(
        trx,
        { ...wanted, tenantId, expiresAt: expiresAt ?? null },
        { actor: { kind: 'user', id: userId }, reason: reason ?? null },
      );
      await audit(
        trx,
        auditOf(request, {
          tenantId,
          action: 'tenant.subscriptionChanged',
          target: { kind: 'tenant', id: tenantId },
          before: present(before),
          after: present(after),
        }),
      );
      return after;
    });
    return reply(200, present(changed));
  },
});

export const subscriptionRoutes = [listPlans, getOwn, get, listChanges, getUsage, replace];

// The tenant in the path is the token's: of another one nobody learns that it is there.
function requireOwn(id: string, tenantId: string): void {
  if (id !== tenantId) {
    throw notFound('tenant');
  }
}

function present(subscribed: Subscribed): z.output<typeof SubscriptionShape> {
  const { plan, status, expiresAt } = subscribed;
  const now = planInForce(subscribed, new Date());
  return {
    plan,
    status,
    expiresAt: expiresAt?.toISOString() ?? null,
    planInForce: now.plan,
    limits: { ...now.limits },
  };
}

function presentChange(row: SubscriptionChange): z.output<typeof SubscriptionChangeShape> {
  return {
    id: row.id,
    plan: row.plan,
    status: row.status,
    expiresAt: row.expiresAt?.toISOString() ?? null,
    limits: row.limits,
    reason: row.reason,
    actor: { kind: row.actorKind, id: row.actorId },
    createdAt: row.createdAt.toISOString(),
  };
}

function presentUsage(usage: QuotaUsage): z.output<typeof QuotaUsageShape> {
  return { ...usage, resetsAt: usage.resetsAt?.toISOString() ?? null };
}
