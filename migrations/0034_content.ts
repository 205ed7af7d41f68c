import type { Knex } from 'knex';
import { listOf } from './sql';
import { may, raiseWalls } from './walls';

const reasons = [
  'llmBudgetSpent',
  'refused',
  'llmFailed',
  'llmUnavailable',
  'notUsable',
  'cancelled',
  'notStarted',
  'notEnded',
];

// Texts that models wrote for campaigns: what was asked, what came of it and what it cost.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table content_generations (
      id uuid not null,
      tenant_id uuid not null references tenants (id),
      campaign_id uuid,
      state text not null default 'planned' check (state in ('planned', 'done', 'failed')),
      reason text check (reason in (${listOf(reasons)})),
      -- While no key for language models can serve.
      waits_until timestamptz,
      goal text not null,
      facts text[] not null,
      tone text,
      language text not null,
      channel text not null check (channel in ('email', 'sms', 'whatsapp')),
      count int not null check (count between 1 and 10),
      asked_model text,
      variants jsonb not null default '[]',
      model text,
      call_ids uuid[] not null default '{}',
      cost_micros bigint not null default 0,
      created_by uuid,
      created_at timestamptz not null default now(),
      ended_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, campaign_id) references campaigns (tenant_id, id)
        on delete set null (campaign_id),
      check ((reason is not null) = (state = 'failed')),
      check ((ended_at is not null) = (state <> 'planned'))
    );
    create index content_generations_created on content_generations (tenant_id, created_at desc, id);
    create index content_generations_campaign on content_generations (tenant_id, campaign_id)
      where campaign_id is not null;
    create index content_generations_planned on content_generations (created_at)
      where state = 'planned';
  `);
  await raiseWalls(knex, {
    content_generations: { tenant: may.doAll, platform: { reconcile: may.change } },
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table content_generations');
}
