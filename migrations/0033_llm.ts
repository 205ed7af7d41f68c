import type { Knex } from 'knex';
import { isEnvelope } from './sealed';
import { listOf } from './sql';
import { may, raiseWalls } from './walls';

const scopes = ['key', 'account', 'accountModel', 'model', 'platform'];
const standings = ['active', 'draining', 'paused', 'revoked'];
const health = ['cooling', 'suspended', 'draining'];
const none = '00000000-0000-0000-0000-000000000000';

// Accounts and keys at vendors of language models, how they stand, what calls cost and what may be
// spent. Rows without a tenant are the platform's. Every change of what decides which key is chosen
// raises its pool's version and tells all processes, by a trigger, so that none can forget it.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- What a process loads as a whole: the platform's keys, or a tenant's own.
    create table llm_pools (
      id uuid primary key,
      tenant_id uuid unique references tenants (id),
      ring_version bigint not null default 1,
      check (id = coalesce(tenant_id, '${none}'))
    );
    insert into llm_pools (id) values ('${none}');

    create table llm_accounts (
      id uuid primary key,
      tenant_id uuid references tenants (id),
      name text not null check (length(name) between 1 and 100),
      vendor text not null check (vendor in ('openrouter', 'openai')),
      base_url text not null check (base_url ~ '^https{0,1}://' and length(base_url) <= 500),
      -- Opens the account's credits, and no model.
      management_key text check (${isEnvelope('management_key')}),
      -- For whoever may not read the key itself.
      has_management_key boolean not null generated always as (management_key is not null) stored,
      standing text not null default 'active' check (standing in (${listOf(standings)})),
      standing_reason text,
      standing_by uuid,
      standing_at timestamptz not null default now(),
      max_concurrency int check (max_concurrency between 1 and 10000),
      balance_floor_micros bigint not null default 0 check (balance_floor_micros >= 0),
      balance_micros bigint,
      balance_at timestamptz,
      version int not null default 1,
      created_by uuid,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create unique index llm_accounts_name on llm_accounts (tenant_id, lower(name)) nulls not distinct;

    create table llm_keys (
      id uuid primary key,
      tenant_id uuid references tenants (id),
      account_id uuid not null references llm_accounts (id),
      label text not null check (length(label) between 1 and 100),
      secret text not null check (${isEnvelope('secret')}),
      -- SHA-256 of the key, in hex: knows it again without opening it.
      fingerprint text not null check (fingerprint ~ '^[0-9a-f]{64}$'),
      last4 text not null check (length(last4) <= 4),
      weight int not null default 100 check (weight between 1 and 1000),
      max_concurrency int check (max_concurrency between 1 and 10000),
      allowed_models text[],
      -- Keys of one workspace share its budget at the vendor.
      workspace text check (length(workspace) between 1 and 100),
      expires_at timestamptz,
      standing text not null default 'active' check (standing in (${listOf(standings)})),
      standing_reason text,
      standing_by uuid,
      standing_at timestamptz not null default now(),
      replaces uuid references llm_keys (id) on delete set null,
      limit_micros bigint,
      limit_remaining_micros bigint,
      limit_reset text check (limit_reset in ('daily', 'weekly', 'monthly')),
      limits_at timestamptz,
      version int not null default 1,
      created_by uuid,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create unique index llm_keys_fingerprint on llm_keys (tenant_id, fingerprint) nulls not distinct
      where standing <> 'revoked';
    create index llm_keys_account on llm_keys (account_id);

    -- What is not well. What is well has no row.
    create table llm_health (
      id uuid primary key default gen_random_uuid(),
      tenant_id uuid references tenants (id),
      scope text not null check (scope in (${listOf(scopes)})),
      account_id uuid references llm_accounts (id) on delete cascade,
      key_id uuid references llm_keys (id) on delete cascade,
      model text,
      state text not null check (state in (${listOf(health)})),
      reason text not null,
      until timestamptz,
      next_check_at timestamptz,
      failures int not null default 1,
      evidence jsonb not null default '{}',
      since timestamptz not null default clock_timestamp(),
      updated_at timestamptz not null default clock_timestamp(),
      check ((key_id is not null) = (scope = 'key')),
      check ((account_id is not null) = (scope in ('key', 'account', 'accountModel'))),
      check ((model is not null) = (scope in ('model', 'accountModel')))
    );
    create unique index llm_health_subject on llm_health (tenant_id, scope, account_id, key_id, model)
      nulls not distinct;

    -- What happened to them, and by whom.
    create table llm_transitions (
      id uuid primary key,
      tenant_id uuid references tenants (id),
      at timestamptz not null default clock_timestamp(),
      scope text not null check (scope in (${listOf(scopes)})),
      account_id uuid,
      key_id uuid,
      model text,
      from_state text not null,
      to_state text not null,
      reason text,
      until timestamptz,
      evidence jsonb not null default '{}',
      actor_kind text not null check (actor_kind in ('call', 'probe', 'timer', 'user', 'system')),
      actor_id uuid
    );
    create index llm_transitions_account on llm_transitions (account_id, id desc);
    create index llm_transitions_key on llm_transitions (key_id, id desc) where key_id is not null;

    create table llm_settings (
      tenant_id uuid primary key references tenants (id),
      key_source text not null default 'ownFirst'
        check (key_source in ('own', 'platform', 'ownFirst')),
      default_model text,
      keeps_prompts boolean not null default false,
      prompt_days int not null default 30 check (prompt_days between 1 and 365),
      hedge_after_ms int check (hedge_after_ms between 100 and 60000),
      version int not null default 1,
      updated_at timestamptz not null default now()
    );

    create table llm_price_snapshots (
      id uuid primary key,
      model text not null,
      prompt_micros_per_million bigint not null,
      completion_micros_per_million bigint not null,
      cached_micros_per_million bigint not null,
      request_micros bigint not null,
      image_micros bigint not null,
      valid_from timestamptz not null default clock_timestamp()
    );
    create index llm_price_snapshots_model on llm_price_snapshots (model, valid_from desc);

    create table llm_models (
      id text primary key check (length(id) between 1 and 200),
      name text not null,
      context_tokens int not null,
      max_output_tokens int,
      input_modalities text[] not null,
      output_modalities text[] not null,
      parameters text[] not null,
      price_snapshot_id uuid not null references llm_price_snapshots (id),
      fallbacks text[] not null default '{}',
      is_enabled boolean not null default true,
      is_default boolean not null default false,
      -- Gone from the vendor's list since then.
      gone_at timestamptz,
      seen_at timestamptz not null default now(),
      version int not null default 1
    );
    create unique index llm_models_default on llm_models (is_default) where is_default;

    create table llm_budgets (
      id uuid primary key,
      tenant_id uuid references tenants (id),
      scope text not null check (scope in ('tenant', 'user', 'feature', 'model', 'key')),
      -- The user, feature, model or key it is for; empty for the whole tenant.
      subject text not null default '' check (length(subject) <= 200),
      period text not null check (period in ('day', 'month')),
      limit_micros bigint not null check (limit_micros >= 0),
      version int not null default 1,
      created_by uuid,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create unique index llm_budgets_subject on llm_budgets (tenant_id, scope, subject, period)
      nulls not distinct;

    -- What is spent and reserved of each budget that was ever asked for.
    create table llm_spend (
      id uuid primary key default gen_random_uuid(),
      tenant_id uuid references tenants (id),
      scope text not null,
      subject text not null default '',
      period text not null,
      starts_on date not null,
      reserved_micros bigint not null default 0 check (reserved_micros >= 0),
      spent_micros bigint not null default 0 check (spent_micros >= 0)
    ) with (fillfactor = 50);
    create unique index llm_spend_subject on llm_spend (tenant_id, scope, subject, period, starts_on)
      nulls not distinct;

    create table llm_calls (
      id uuid primary key,
      tenant_id uuid not null references tenants (id),
      user_id uuid,
      feature text not null check (feature ~ '^[a-z][a-zA-Z]{0,39}$'),
      workflow_id text,
      kind text not null check (kind in ('chat', 'embedding', 'image')),
      model_asked text not null,
      model text,
      account_id uuid,
      key_id uuid,
      price_snapshot_id uuid,
      outcome text not null default 'open'
        check (outcome in ('open', 'succeeded', 'failed', 'cancelled', 'cached', 'lost')),
      failure_kind text,
      attempts int not null default 0,
      estimate_micros bigint not null check (estimate_micros >= 0),
      cost_micros bigint check (cost_micros >= 0),
      cost_source text check (cost_source in ('vendor', 'prices', 'estimate', 'none')),
      prompt_tokens int,
      completion_tokens int,
      cached_tokens int,
      reasoning_tokens int,
      first_token_ms int,
      total_ms int,
      is_streamed boolean not null,
      -- Whether its tenant's plan holds its reservation, too.
      may_use_platform boolean not null,
      created_at timestamptz not null default clock_timestamp(),
      expires_at timestamptz not null,
      settled_at timestamptz,
      check ((outcome = 'open') = (settled_at is null))
    );
    create index llm_calls_tenant on llm_calls (tenant_id, id desc);
    create index llm_calls_open on llm_calls (expires_at) where outcome = 'open';

    create table llm_attempts (
      call_id uuid not null references llm_calls (id) on delete cascade,
      n int not null,
      tenant_id uuid not null references tenants (id),
      account_id uuid not null,
      key_id uuid not null,
      model text not null,
      failure_kind text,
      status int,
      generation_id text,
      first_token_ms int,
      total_ms int not null,
      started_at timestamptz not null,
      primary key (call_id, n)
    );

    -- Sums of llm_calls, kept as calls are settled.
    create table llm_usage_days (
      id uuid primary key default gen_random_uuid(),
      tenant_id uuid not null references tenants (id),
      day date not null,
      feature text not null,
      model text not null,
      key_id uuid,
      user_id uuid,
      calls bigint not null default 0,
      failed bigint not null default 0,
      prompt_tokens bigint not null default 0,
      completion_tokens bigint not null default 0,
      cost_micros bigint not null default 0
    ) with (fillfactor = 50);
    create unique index llm_usage_days_subject
      on llm_usage_days (tenant_id, day, feature, model, key_id, user_id) nulls not distinct;

    -- What was asked and answered, only of tenants that want it kept, and only for so long.
    create table llm_prompts (
      call_id uuid primary key references llm_calls (id) on delete cascade,
      tenant_id uuid not null references tenants (id),
      content text not null check (${isEnvelope('content')}),
      expires_at timestamptz not null
    );
    create index llm_prompts_expires_at on llm_prompts (expires_at);

    create function bump_llm_pool(pool uuid, tenant uuid) returns void
      language plpgsql security definer set search_path = public, pg_temp as $$
    begin
      insert into llm_pools (id, tenant_id) values (pool, tenant)
        on conflict (id) do update set ring_version = llm_pools.ring_version + 1;
      perform pg_notify('llm_ring', pool::text);
    end $$;

    create function llm_ring_changed() returns trigger
      language plpgsql security definer set search_path = public, pg_temp as $$
    declare
      tenant uuid := case when tg_op = 'DELETE' then old.tenant_id else new.tenant_id end;
    begin
      perform bump_llm_pool(coalesce(tenant, '${none}'), tenant);
      return null;
    end $$;

    create function llm_models_changed() returns trigger
      language plpgsql security definer set search_path = public, pg_temp as $$
    begin
      perform bump_llm_pool('${none}', null);
      return null;
    end $$;

    create trigger llm_accounts_ring after insert or update or delete on llm_accounts
      for each row execute function llm_ring_changed();
    create trigger llm_keys_ring after insert or update or delete on llm_keys
      for each row execute function llm_ring_changed();
    create trigger llm_health_ring after insert or update or delete on llm_health
      for each row execute function llm_ring_changed();
    create trigger llm_settings_ring after insert or update or delete on llm_settings
      for each row execute function llm_ring_changed();
    create trigger llm_models_ring after insert or update or delete on llm_models
      for each statement execute function llm_models_changed();
  `);
  await knex.raw('revoke all on function bump_llm_pool(uuid, uuid) from public');
  await raiseWalls(knex, {
    llm_pools: { platform: { llmRing: may.keep, platformAdmin: may.read } },
    llm_accounts: {
      tenant: may.doAll,
      columns: accountColumns,
      platform: { llmRing: may.keep, platformAdmin: may.doAll, resealing: may.change },
    },
    llm_keys: {
      tenant: may.doAll,
      columns: keyColumns,
      platform: { llmRing: may.keep, platformAdmin: may.doAll, resealing: may.change },
    },
    llm_health: {
      tenant: may.read,
      platform: { llmRing: may.doAll, platformAdmin: may.read },
    },
    llm_transitions: {
      tenant: may.add,
      platform: { llmRing: may.doAll, platformAdmin: may.add },
    },
    llm_settings: { tenant: may.keep, platform: { llmRing: may.read, platformAdmin: may.read } },
    llm_price_snapshots: {
      own: 'false',
      seen: 'true',
      tenant: may.read,
      platform: { llmRing: may.add, llmLedger: may.read, platformAdmin: may.add },
    },
    llm_models: {
      own: 'false',
      seen: 'true',
      tenant: may.read,
      platform: { llmRing: may.keep, llmLedger: may.read, platformAdmin: may.keep },
    },
    llm_budgets: {
      tenant: may.doAll,
      platform: { llmLedger: may.read, platformAdmin: may.doAll },
    },
    llm_spend: {
      tenant: may.read,
      platform: { llmLedger: may.doAll, platformAdmin: may.read },
    },
    llm_calls: {
      tenant: may.read,
      platform: { llmLedger: may.doAll, platformAdmin: may.read },
    },
    llm_attempts: {
      tenant: may.read,
      platform: { llmLedger: may.doAll, platformAdmin: may.read },
    },
    llm_usage_days: {
      tenant: may.read,
      platform: { llmLedger: may.keep, platformAdmin: may.read },
    },
    llm_prompts: {
      tenant: ['select', 'delete'],
      platform: { llmLedger: may.doAll, resealing: may.change },
    },
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop table llm_prompts, llm_usage_days, llm_attempts, llm_calls, llm_spend, llm_budgets,
      llm_models, llm_price_snapshots, llm_settings, llm_transitions, llm_health, llm_keys,
      llm_accounts, llm_pools;
    drop function llm_ring_changed(), llm_models_changed(), bump_llm_pool(uuid, uuid)
  `);
}

// All but the sealed ones.
const accountColumns = [
  'id',
  'tenant_id',
  'name',
  'vendor',
  'base_url',
  'has_management_key',
  'standing',
  'standing_reason',
  'standing_by',
  'standing_at',
  'max_concurrency',
  'balance_floor_micros',
  'balance_micros',
  'balance_at',
  'version',
  'created_by',
  'created_at',
  'updated_at',
];

const keyColumns = [
  'id',
  'tenant_id',
  'account_id',
  'label',
  'fingerprint',
  'last4',
  'weight',
  'max_concurrency',
  'allowed_models',
  'workspace',
  'expires_at',
  'standing',
  'standing_reason',
  'standing_by',
  'standing_at',
  'replaces',
  'limit_micros',
  'limit_remaining_micros',
  'limit_reset',
  'limits_at',
  'version',
  'created_by',
  'created_at',
  'updated_at',
];
