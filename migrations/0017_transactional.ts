import type { Knex } from 'knex';

// Messages that are asked for one by one: a standing run a tenant, day, channel and account, without a
// campaign. What such a message says lies beside the ledger until it has ended and is then forgotten,
// because it may hold what opens an account. Its number comes from a sequence that all of them share: a
// counter in the run's row would make a tenant's messages wait for one another.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table campaign_runs
      add column kind text not null default 'campaign'
        check (kind in ('campaign', 'transactional')),
      add column day date,
      alter column campaign_id drop not null,
      alter column n drop not null,
      alter column content_version drop not null,
      alter column audience drop not null,
      alter column campaign_name drop not null,
      alter column schedule drop not null,
      add constraint campaign_runs_of_kind check (case kind
        when 'campaign' then day is null
          and num_nulls(campaign_id, n, content_version, audience, campaign_name, schedule) = 0
        else day is not null and campaign_id is null end);
    create unique index campaign_runs_standing on campaign_runs (tenant_id, day, channel, account_id)
      where kind = 'transactional' and gate <> 'closed';

    alter table dispatches add column is_transactional boolean not null default false;
    create index dispatches_transactional on dispatches (coalesce(not_before, '-infinity'))
      where is_transactional and state = 'planned';

    create sequence transactional_numbers as int cycle;

    create table transactional_messages (
      tenant_id uuid not null references tenants (id),
      id uuid not null,
      slot text not null,
      digest bytea not null,
      run_id uuid not null,
      n int not null,
      created_by uuid,
      created_at timestamptz not null default clock_timestamp(),
      primary key (tenant_id, id),
      -- The wall: one key is one message for as long as the ledger is kept, whatever the day.
      unique (tenant_id, slot)
    );

    create table transactional_contents (
      run_id uuid not null,
      n int not null,
      tenant_id uuid not null,
      customer_id uuid,
      -- Where it goes; without one, to whatever the customer's address is by then.
      address text,
      content jsonb not null,
      check (num_nonnulls(customer_id, address) > 0),
      primary key (run_id, n)
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

    -- A share of each limit is kept for these messages while they are about; used apart from the rest.
    alter table provider_accounts
      add column kept_since timestamptz,
      add column kept_until timestamptz;
    alter table provider_limits
      add column kept_window_start timestamptz not null default '-infinity',
      add column kept_used int not null default 0;
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table provider_limits drop column kept_window_start, drop column kept_used;
    alter table provider_accounts drop column kept_since, drop column kept_until;
    drop table transactional_contents, transactional_messages;
    drop sequence transactional_numbers;

    create temporary table standing_runs on commit drop as
      select id from campaign_runs where kind = 'transactional';
    delete from message_events where run_id in (select id from standing_runs);
    delete from messages where run_id in (select id from standing_runs);
    delete from dispatch_attempts where run_id in (select id from standing_runs);
    delete from dispatches where run_id in (select id from standing_runs);
    delete from waves where run_id in (select id from standing_runs);
    delete from campaign_runs where id in (select id from standing_runs);

    drop index dispatches_transactional;
    alter table dispatches drop column is_transactional;
    drop index campaign_runs_standing;
    alter table campaign_runs
      drop constraint campaign_runs_of_kind,
      drop column kind,
      drop column day,
      alter column campaign_id set not null,
      alter column n set not null,
      alter column content_version set not null,
      alter column audience set not null,
      alter column campaign_name set not null,
      alter column schedule set not null;
  `);
}
