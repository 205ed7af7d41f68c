import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table campaigns (
      id uuid not null,
      tenant_id uuid not null references tenants (id),
      name text not null,
      channel text not null check (channel in ('email')),
      audience jsonb not null,
      content_version int not null default 1,
      current_run_id uuid,
      created_by uuid,
      version int not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (tenant_id, id)
    );
    create index campaigns_created_at on campaigns (tenant_id, created_at, id);

    -- A version that a run refers to is never changed again.
    create table campaign_contents (
      tenant_id uuid not null,
      campaign_id uuid not null,
      version int not null,
      from_name text,
      from_email text not null,
      reply_to text,
      subject text not null,
      preheader text,
      html text not null,
      text text,
      links text[] not null default '{}',
      created_at timestamptz not null default now(),
      primary key (tenant_id, campaign_id, version),
      foreign key (tenant_id, campaign_id) references campaigns (tenant_id, id) on delete cascade
    );

    create table campaign_runs (
      id uuid primary key,
      tenant_id uuid not null,
      campaign_id uuid not null,
      n int not null,
      channel text not null check (channel in ('email')),
      content_version int not null,
      audience jsonb not null,
      campaign_name text not null,
      schedule jsonb not null,
      state text not null check (state in
        ('planning', 'waiting', 'sending', 'completed', 'cancelled', 'failed')),
      gate text not null default 'open' check (gate in ('open', 'paused', 'closed')),
      gate_reason text,
      failure text,
      plan_version int not null default 1,
      plan_sealed_at timestamptz,
      estimate jsonb not null default '{}',
      left_out jsonb not null default '{}',
      next_dispatch_n int not null default 1,
      next_message_n int not null default 1,
      doubt_policy text not null default 'hold' check (doubt_policy in ('hold', 'sendAgain')),
      doubt_deadline_ms bigint not null default 86400000,
      workflow_started_at timestamptz,
      steered_at timestamptz,
      steering_seen_at timestamptz,
      starts_at timestamptz,
      completed_at timestamptz,
      created_by uuid,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      unique (tenant_id, campaign_id, n),
      foreign key (tenant_id, campaign_id) references campaigns (tenant_id, id)
    );
    create index campaign_runs_open on campaign_runs (state)
      where state in ('planning', 'waiting', 'sending');

    create table campaign_log (
      id uuid primary key,
      tenant_id uuid not null,
      campaign_id uuid not null,
      run_id uuid,
      kind text not null,
      actor_kind text not null check (actor_kind in ('user', 'operator', 'system')),
      actor_id uuid,
      detail jsonb not null default '{}',
      created_at timestamptz not null default clock_timestamp(),
      foreign key (tenant_id, campaign_id) references campaigns (tenant_id, id) on delete cascade
    );
    create index campaign_log_campaign on campaign_log (tenant_id, campaign_id, created_at, id);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table campaign_log, campaign_runs, campaign_contents, campaigns');
}
