import type { Knex } from 'knex';

// Limits as vendors state them: so many calls or messages a second, minute, hour or day. Each row
// counts its newest window, which may lie a moment ahead, because reservations do.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table provider_limits (
      account_id text not null references provider_accounts (id) on delete cascade,
      per text not null check (per in ('second', 'minute', 'hour', 'day')),
      unit text not null check (unit in ('calls', 'messages')),
      most int not null check (most > 0),
      time_zone text not null default 'UTC',
      grows_from int check (grows_from > 0),
      grows_by numeric check (grows_by >= 1),
      grows_since date,
      window_start timestamptz not null default '-infinity',
      used int not null default 0,
      primary key (account_id, per, unit),
      check (num_nulls(grows_from, grows_by, grows_since) in (0, 3))
    ) with (fillfactor = 50);

    create table provider_shares (
      account_id text not null references provider_accounts (id) on delete cascade,
      tenant_id uuid not null,
      served bigint not null default 0,
      asked_at timestamptz not null,
      primary key (account_id, tenant_id)
    ) with (fillfactor = 50);

    insert into provider_limits (account_id, per, unit, most)
    select id, 'minute', 'messages', limit_per_minute from provider_accounts
     where limit_per_minute is not null;

    alter table provider_accounts
      drop column limit_per_minute,
      drop column next_free_at,
      add column slowed_at timestamptz,
      add column slowed_to numeric not null default 1 check (slowed_to > 0 and slowed_to <= 1);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table provider_accounts
      drop column slowed_at,
      drop column slowed_to,
      add column limit_per_minute int,
      add column next_free_at timestamptz not null default now();

    update provider_accounts a set limit_per_minute = l.most
      from provider_limits l
     where l.account_id = a.id and l.per = 'minute' and l.unit = 'messages';

    drop table provider_limits, provider_shares;
  `);
}
