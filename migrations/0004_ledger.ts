import type { Knex } from 'knex';

// Every key of the ledger starts with run_id (uuid v7, so it sorts by time): look-ups touch one
// place and range partitions stay possible. No foreign key points at customers: erasure handles it.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table waves (
      run_id uuid not null references campaign_runs (id),
      plan_version int not null,
      n int not null,
      tenant_id uuid not null,
      kind text not null default 'planned' check (kind in ('planned', 'late', 'again')),
      starts_at timestamptz not null,
      closes_at timestamptz not null,
      time_zones text[] not null,
      planned_count int not null,
      primary key (run_id, plan_version, n)
    );

    create table dispatches (
      run_id uuid not null references campaign_runs (id),
      n int not null,
      tenant_id uuid not null,
      time_zone text not null,
      plan_version int not null,
      wave_n int not null,
      state text not null default 'planned' check (state in
        ('planned', 'claimed', 'calling', 'accepted', 'refused', 'in_doubt', 'split',
         'unconfirmed', 'cancelled', 'expired')),
      first_message_n int not null,
      last_message_n int not null,
      message_count int not null,
      parent_n int,
      not_before timestamptz,
      wait_reason text,
      slice_workflow_run_id uuid,
      slice_activity_id text,
      slice_attempt int,
      claim_n int not null default 0,
      lease_until timestamptz,
      attempt int not null default 0,
      called_at timestamptz,
      settled_at timestamptz,
      doubt_until timestamptz,
      provider_message_id text,
      reason text,
      left_out_count int not null default 0,
      refused_count int not null default 0,
      delivered_count int not null default 0,
      bounced_count int not null default 0,
      complained_count int not null default 0,
      opened_count int not null default 0,
      clicked_count int not null default 0,
      unsubscribed_count int not null default 0,
      primary key (run_id, n)
    ) with (fillfactor = 70);
    create index dispatches_open on dispatches (run_id, plan_version, wave_n, n)
      where state in ('planned', 'claimed', 'calling');
    create index dispatches_leased on dispatches (lease_until) where state in ('claimed', 'calling');
    create index dispatches_doubt on dispatches (doubt_until) where state = 'in_doubt';

    create table dispatch_attempts (
      run_id uuid not null,
      dispatch_n int not null,
      attempt int not null,
      tenant_id uuid not null,
      called_at timestamptz not null default now(),
      settled_at timestamptz,
      outcome text check (outcome in ('accepted', 'refused', 'throttled', 'not_sent', 'in_doubt')),
      proven_by text check (proven_by in ('reply', 'event')),
      provider_message_id text,
      status int,
      reason text,
      primary key (run_id, dispatch_n, attempt)
    );

    create table messages (
      run_id uuid not null,
      n int not null,
      tenant_id uuid not null,
      dispatch_n int not null,
      customer_id uuid not null,
      channel text not null,
      slot text not null default '',
      outcome text check (outcome in ('left_out', 'refused')),
      reason text,
      delivered_at timestamptz,
      bounced_at timestamptz,
      complained_at timestamptz,
      first_opened_at timestamptz,
      first_clicked_at timestamptz,
      unsubscribed_at timestamptz,
      primary key (run_id, n),
      unique (run_id, customer_id, channel, slot)
    ) with (fillfactor = 90);
    create index messages_own_outcome on messages (run_id, outcome, reason) where outcome is not null;
    create index messages_customer on messages (tenant_id, customer_id);

    create table message_events (
      id bigint generated always as identity primary key,
      run_id uuid,
      provider_event_id text not null,
      source text not null check (source in ('sendgrid', 'carillon')),
      tenant_id uuid,
      dispatch_n int,
      attempt int,
      message_n int,
      kind text not null,
      occurred_at timestamptz not null,
      received_at timestamptz not null default now(),
      payload jsonb not null,
      applied_at timestamptz,
      set_aside text,
      unique nulls not distinct (run_id, provider_event_id)
    );
    create index message_events_open on message_events (id) where applied_at is null;
    create index message_events_message on message_events (run_id, message_n);

    create table provider_accounts (
      id text primary key,
      limit_per_minute int,
      next_free_at timestamptz not null default now(),
      blocked_until timestamptz,
      blocked_reason text
    ) with (fillfactor = 50);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(
    'drop table provider_accounts, message_events, messages, dispatch_attempts, dispatches, waves',
  );
}
