import type { Knex } from 'knex';

const tablesOfChannels = ['campaigns', 'campaign_runs'];

// A run names the account its calls are made for. Where a call carries one message, a dispatch is a
// lane of messages: nothing above `intent_upto` has left, everything up to `settled_upto` is settled,
// and each block of calls keeps the vendor's ids of its messages.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ${tablesOfChannels
      .map(
        (table) => `
    alter table ${table} drop constraint ${table}_channel_check,
      add constraint ${table}_channel_check check (channel in ('email', 'sms', 'whatsapp'));`,
      )
      .join('\n')}

    alter table campaign_runs
      add column account_id text references provider_accounts (id) on delete set null;
    create index campaign_runs_account on campaign_runs (account_id)
      where state in ('planning', 'waiting', 'sending');

    alter table dispatches
      add column intent_upto int,
      add column settled_upto int;

    create table dispatch_blocks (
      run_id uuid not null,
      dispatch_n int not null,
      attempt int not null,
      first_message_n int not null,
      tenant_id uuid not null,
      message_ns int[] not null,
      provider_message_ids text[] not null,
      primary key (run_id, dispatch_n, attempt, first_message_n)
    );

    alter table message_events drop constraint message_events_source_check,
      add constraint message_events_source_check
        check (source in ('sendgrid', 'smtp', 'twilio', 'meta', 'carillon'));
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    delete from message_events where source not in ('sendgrid', 'carillon');
    alter table message_events drop constraint message_events_source_check,
      add constraint message_events_source_check check (source in ('sendgrid', 'carillon'));
    drop table dispatch_blocks;
    alter table dispatches drop column intent_upto, drop column settled_upto;
    alter table campaign_runs drop column account_id;
    ${tablesOfChannels
      .map(
        (table) => `
    alter table ${table} drop constraint ${table}_channel_check,
      add constraint ${table}_channel_check check (channel in ('email'));`,
      )
      .join('\n')}
  `);
}
