import type { Knex } from 'knex';

// Tests of a campaign, sent to whoever its author names. The addresses are kept only until the test
// has ended: they are of no tenant's customers and nothing reads them afterwards.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table test_sends (
      id uuid not null,
      tenant_id uuid not null references tenants (id),
      campaign_id uuid not null,
      customer_id uuid,
      addresses text[] not null,
      recipient_count int not null,
      state text not null default 'planned' check (state in
        ('planned', 'calling', 'accepted', 'refused', 'not_sent', 'in_doubt', 'expired',
         'cancelled')),
      reason text,
      created_by uuid,
      created_at timestamptz not null default now(),
      called_at timestamptz,
      settled_at timestamptz,
      primary key (tenant_id, id),
      foreign key (tenant_id, campaign_id) references campaigns (tenant_id, id) on delete cascade
    );
    -- Events of a test know its id alone.
    create unique index test_sends_id on test_sends (id);
    create index test_sends_campaign on test_sends (tenant_id, campaign_id);
    create index test_sends_planned on test_sends (created_at) where state = 'planned';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table test_sends');
}
