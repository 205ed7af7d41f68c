import type { Knex } from 'knex';
import { listOf } from './sql';
import { may, raiseWalls } from './walls';

const plans = ['free', 'starter', 'professional', 'enterprise'];
const statuses = ['active', 'pastDue', 'cancelled', 'expired'];
const quotas = ['customers', 'messages', 'chatbots', 'apiKeys', 'apiCalls'];

// What a tenant subscribed to, and how much of it is used. A tenant without a subscription has the
// free plan. What plans hold is in domain/identity/plans.ts; a subscription may have limits of its own.
// Who is here already goes on without limits: nothing that runs is to stop because of this.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table subscriptions (
      tenant_id uuid primary key references tenants (id),
      plan text not null check (plan in (${listOf(plans)})),
      status text not null check (status in (${listOf(statuses)})),
      expires_at timestamptz,
      limits jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create index subscriptions_expires_at on subscriptions (expires_at)
      where expires_at is not null and status <> 'expired';

    create table subscription_changes (
      tenant_id uuid not null references tenants (id),
      id uuid not null,
      plan text not null check (plan in (${listOf(plans)})),
      status text not null check (status in (${listOf(statuses)})),
      expires_at timestamptz,
      limits jsonb not null,
      reason text,
      actor_kind text not null check (actor_kind in ('user', 'system')),
      actor_id uuid,
      created_at timestamptz not null default clock_timestamp(),
      primary key (tenant_id, id)
    );

    create table quota_usage (
      tenant_id uuid not null references tenants (id),
      quota text not null check (quota in (${listOf(quotas)})),
      -- The first day of its month; before all days for what is not counted by month.
      period date not null,
      used bigint not null default 0 check (used >= 0),
      reserved bigint not null default 0 check (reserved >= 0),
      primary key (tenant_id, quota, period)
    ) with (fillfactor = 50);

    -- What work that is under way may use at most. Named by the work, so that asking twice reserves once.
    create table quota_reservations (
      tenant_id uuid not null references tenants (id),
      quota text not null check (quota in (${listOf(quotas)})),
      id uuid not null,
      period date not null,
      amount bigint not null check (amount >= 0),
      created_at timestamptz not null default now(),
      -- Of a process that counts in memory: past it the process is gone, and all of it was used.
      expires_at timestamptz,
      primary key (tenant_id, quota, id)
    );
    create index quota_reservations_expires_at on quota_reservations (expires_at)
      where expires_at is not null;

    insert into subscriptions (tenant_id, plan, status) select id, 'enterprise', 'active' from tenants;
    insert into subscription_changes (tenant_id, id, plan, status, limits, reason, actor_kind)
    select id, gen_random_uuid(), 'enterprise', 'active', '{}', 'had no plan before', 'system'
      from tenants;
    insert into quota_usage (tenant_id, quota, period, used)
    select tenant_id, 'customers', cast('-infinity' as date), count(*) from customers group by tenant_id
    union all
    select tenant_id, 'apiKeys', cast('-infinity' as date), count(*) from api_keys
     where revoked_at is null group by tenant_id;
  `);
  await raiseWalls(knex, {
    subscriptions: {
      tenant: may.keep,
      platform: { platformAdmin: may.keep, reconcile: may.change },
    },
    subscription_changes: {
      tenant: may.add,
      platform: { platformAdmin: may.add, reconcile: may.add },
    },
    quota_usage: { tenant: may.keep, platform: { reconcile: may.change } },
    quota_reservations: { tenant: may.doAll, platform: { reconcile: ['select', 'delete'] } },
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table quota_reservations, quota_usage, subscription_changes, subscriptions');
}
