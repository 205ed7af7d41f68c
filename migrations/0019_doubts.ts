import type { Knex } from 'knex';
import { listOf } from './sql';

const policies = ['hold', 'assumeAccepted', 'sendAgain'];
const proofs = ['reply', 'event', 'lookUp', 'policy', 'operator'];

// Doubts are settled by more than events: by what the vendor answers when it is asked, by a person,
// or by a policy that takes them for accepted. What the vendor was asked is kept with the attempt.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table campaign_runs drop constraint campaign_runs_doubt_policy_check,
      add constraint campaign_runs_doubt_policy_check check (doubt_policy in (${listOf(policies)}));

    alter table dispatch_attempts drop constraint dispatch_attempts_proven_by_check,
      add constraint dispatch_attempts_proven_by_check check (proven_by in (${listOf(proofs)})),
      add column look_ups int not null default 0,
      add column look_up_at timestamptz,
      add column looked_up_at timestamptz,
      add column look_up_answer text check (look_up_answer in ('found', 'notFound', 'unknown')),
      add column look_up_reason text;
    comment on column dispatch_attempts.look_up_at is 'not to be looked up before';

    create index dispatches_doubtful on dispatches (run_id, n)
      where state in ('in_doubt', 'unconfirmed');

    create table provider_look_ups (
      account_id text primary key references provider_accounts (id) on delete cascade,
      next_at timestamptz not null
    ) with (fillfactor = 50);
    comment on table provider_look_ups is 'when an account that limits look-ups may be asked next';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop table provider_look_ups;
    drop index dispatches_doubtful;
    update dispatch_attempts set proven_by = null where proven_by not in ('reply', 'event');
    alter table dispatch_attempts drop constraint dispatch_attempts_proven_by_check,
      add constraint dispatch_attempts_proven_by_check check (proven_by in ('reply', 'event')),
      drop column look_ups,
      drop column look_up_at,
      drop column looked_up_at,
      drop column look_up_answer,
      drop column look_up_reason;
    update campaign_runs set doubt_policy = 'hold' where doubt_policy = 'assumeAccepted';
    alter table campaign_runs drop constraint campaign_runs_doubt_policy_check,
      add constraint campaign_runs_doubt_policy_check check (doubt_policy in ('hold', 'sendAgain'));
  `);
}
