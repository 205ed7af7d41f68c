import type { Knex } from 'knex';
import { ensureRoles } from './roles';
import {
  allowFunction,
  lowerWalls,
  may,
  platformRole,
  raiseWalls,
  tenantRole,
  thisTenant,
  type Walls,
} from './walls';

const { read, add, change, keep, doAll } = may;

const ofOwnAccount = `exists (
  select 1 from provider_accounts a where a.id = account_id and a.tenant_id = ${thisTenant})`;

// Who may do what. A purpose of the platform that is not named at a table does not see it.
const walls: Walls = {
  tenants: {
    tenant: change,
    own: `id = ${thisTenant}`,
    platform: {
      identity: keep,
      platformAdmin: change,
      payloadKeys: read,
      tracking: read,
      eventApply: read,
      inbound: read,
    },
  },

  customers: {
    tenant: doAll,
    platform: { tracking: change, eventApply: read, inbound: change, transactional: read },
  },
  suppressions: {
    tenant: doAll,
    platform: {
      tracking: ['select', 'insert', 'delete'],
      eventApply: add,
      inbound: ['select', 'insert', 'delete'],
      transactional: add,
    },
  },
  imports: { tenant: keep, platform: { reconcile: change } },
  import_rejections: { tenant: ['select', 'insert', 'delete'] },
  idempotency_keys: { tenant: keep, platform: { reconcile: ['select', 'delete'] } },

  campaigns: { tenant: doAll },
  campaign_contents: { tenant: keep, platform: { tracking: read } },
  campaign_log: { tenant: add, platform: { reconcile: add } },
  test_sends: {
    tenant: keep,
    platform: { reconcile: change, eventIntake: read, eventApply: read, tracking: read },
  },

  campaign_runs: {
    tenant: keep,
    platform: {
      reconcile: change,
      eventIntake: read,
      eventApply: read,
      tracking: read,
      inbound: read,
      transactional: change,
    },
  },
  waves: { tenant: add, platform: { reconcile: add, transactional: read } },
  dispatches: {
    tenant: keep,
    platform: {
      reconcile: keep,
      eventApply: change,
      tracking: read,
      inbound: read,
      transactional: keep,
    },
  },
  dispatch_attempts: {
    tenant: keep,
    platform: { reconcile: keep, eventApply: change, transactional: keep },
  },
  dispatch_blocks: { tenant: add },
  messages: {
    tenant: keep,
    platform: {
      reconcile: change,
      eventApply: change,
      tracking: read,
      inbound: read,
      transactional: change,
    },
  },
  customer_contacts: { tenant: doAll, platform: { reconcile: ['select', 'update', 'delete'] } },
  message_events: {
    tenant: read,
    platform: {
      eventIntake: add,
      eventApply: keep,
      tracking: add,
      inbound: add,
      reconcile: read,
      transactional: read,
    },
  },
  // Numbers of events, which say nothing without these.
  waiting_events: {
    tenant: read,
    own: 'true',
    platform: {
      eventIntake: add,
      eventApply: doAll,
      tracking: add,
      inbound: add,
      reconcile: read,
      transactional: read,
    },
  },
  // What somebody wrote to a number of the platform is of every tenant that has them as a customer and
  // has reached them there: anybody can write anybody's number into their customers.
  inbound_messages: {
    tenant: read,
    seen: `tenant_id is null and exists (
      select 1 from customers c
        join messages m on m.tenant_id = c.tenant_id and m.customer_id = c.id
       where c.tenant_id = ${thisTenant} and c.phone = from_address
         and m.channel = inbound_messages.channel and m.delivered_at is not null)`,
    platform: { inbound: add },
  },

  transactional_messages: { tenant: add },
  transactional_contents: { tenant: add, platform: { transactional: ['select', 'delete'] } },

  // Tenants send by the platform's accounts, too: what they may know of these is in usable_accounts.
  provider_accounts: {
    tenant: doAll,
    platform: {
      platformAccounts: keep,
      credentials: read,
      resealing: change,
      rates: change,
      reconcile: read,
      eventIntake: read,
      eventApply: change,
      tracking: read,
      transactional: read,
    },
  },
  provider_limits: {
    tenant: doAll,
    own: ofOwnAccount,
    seen: 'exists (select 1 from usable_accounts a where a.id = account_id)',
    platform: { platformAccounts: add, rates: change, transactional: read },
  },
  provider_shares: { platform: { rates: keep } },
  provider_deferrals: { own: 'false', platform: { eventApply: keep } },
  provider_look_ups: { own: 'false', platform: { rates: keep } },
};

// Row-level security lets no index answer a condition that a function like lower() could betray rows
// through. These functions are of the owner of the tables, whom it does not bind, and look with the
// index for what the caller may see anyway.
const customersOfEmails = `
  create function customers_of_emails(keys text[]) returns table (id uuid, email_key text)
  language sql stable security definer rows 100 set search_path = pg_catalog
  begin atomic
    select found.id, wanted.email_key
      from unnest(keys) as wanted (email_key)
     cross join lateral (
       select c.id from customers c
        where c.tenant_id = nullif(current_setting('carillon.tenant_id', true), '')::uuid
          and c.email is not null and lower(c.email) = wanted.email_key
        limit 1) found;
  end`;

// What a tenant sends by: its own accounts and the platform's, without what opens them.
const usableAccounts = `
  create view usable_accounts with (security_barrier) as
    select id, tenant_id, channel, vendor, name, settings, senders, active, is_default, version,
           blocked_until, updated_at
      from provider_accounts
     where tenant_id is null or tenant_id = ${thisTenant}`;

const tenantsOfEmail = `
  create function tenants_of_email(key text) returns setof uuid
  language sql stable security definer rows 10 set search_path = pg_catalog
  begin atomic
    select t.id from tenants t
     where current_setting('carillon.purpose', true) = 'eventApply'
       and exists (select 1 from customers c
                    where c.tenant_id = t.id and c.email is not null and lower(c.email) = key);
  end`;

export async function up(knex: Knex): Promise<void> {
  await ensureRoles(knex);
  await knex.raw(usableAccounts);
  await knex.raw(`grant select on usable_accounts to ${tenantRole}`);
  await raiseWalls(knex, walls);
  await knex.raw(`grant usage on sequence transactional_numbers to ${tenantRole}`);
  // Whether all migrations were run is asked by the readiness check.
  await knex.raw(`grant select on knex_migrations to ${platformRole}`);
  await knex.raw(customersOfEmails);
  await allowFunction(knex, 'customers_of_emails(text[])', [tenantRole]);
  await knex.raw(tenantsOfEmail);
  await allowFunction(knex, 'tenants_of_email(text)', [platformRole]);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`drop function tenants_of_email(text), customers_of_emails(text[])`);
  await knex.raw(`revoke select on knex_migrations from ${platformRole}`);
  await knex.raw(`revoke usage on sequence transactional_numbers from ${tenantRole}`);
  await lowerWalls(knex, Object.keys(walls));
  await knex.raw('drop view usable_accounts');
}
