import type { Knex } from 'knex';

// Which events wait to be applied is a list beside them. Marking each event in its own row wrote the
// whole row and three of its indexes a second time, for something that is true for a moment.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table waiting_events (
      id bigint generated always as identity primary key,
      event_ids bigint[] not null,
      event_count int not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

    insert into waiting_events (event_ids, event_count)
    select array_agg(id order by id), count(*)
      from (select id, (row_number() over (order by id) - 1) / 1000 as part
              from message_events where applied_at is null and set_aside is null) open
     group by part order by part;

    drop index message_events_open;
    create index message_events_set_aside on message_events (set_aside, id)
      where set_aside is not null;
    -- Its values are of the time before; nothing writes it any more.
    comment on column message_events.applied_at is 'when it was applied, until waiting_events came';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    update message_events e set applied_at = clock_timestamp()
     where applied_at is null and set_aside is null
       and not exists (select 1 from waiting_events w where e.id = any(w.event_ids));
    create index message_events_open on message_events (id) where applied_at is null;
    drop index message_events_set_aside;
    comment on column message_events.applied_at is null;
    drop table waiting_events;
  `);
}
