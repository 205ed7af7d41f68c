import type { Knex } from 'knex';

const columns = [
  ['opened', 'human', 'human_opens_count'],
  ['opened', 'machine', 'machine_opens_count'],
  ['opened', 'bot', 'bot_opens_count'],
  ['clicked', 'human', 'human_clicks_count'],
  ['clicked', 'machine', 'machine_clicks_count'],
  ['clicked', 'bot', 'bot_clicks_count'],
] as const;

// Openings and clicks are counted by who made them, beside the messages that a person opened. The
// preference page writes consent for every channel a customer can be reached on.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table dispatches
      ${columns.map(([, , column]) => `add column ${column} int not null default 0`).join(', ')};

    update dispatches d
       set ${columns.map(([, , column]) => `${column} = c.${column}`).join(', ')}
      from (
        select m.run_id, m.dispatch_n,
               ${columns
                 .map(
                   ([kind, who, column]) =>
                     `count(*) filter (where e.kind = '${kind}' and ${isOf[who]}) as ${column}`,
                 )
                 .join(', ')}
          from message_events e
          join messages m on m.run_id = e.run_id and m.n = e.message_n
          left join (select unnest(event_ids) as id from waiting_events) w on w.id = e.id
         where w.id is null and e.set_aside is null and e.kind in ('opened', 'clicked')
         group by m.run_id, m.dispatch_n
      ) c
     where d.run_id = c.run_id and d.n = c.dispatch_n;

    alter table suppressions drop constraint if exists suppressions_channel_check;
    alter table suppressions add constraint suppressions_channel_check
      check (channel in ('email', 'sms', 'whatsapp'));

    alter table customers
      ${['sms', 'whatsapp']
        .map(
          (channel) => `
      add column ${channel}_consent text not null default 'unknown'
        check (${channel}_consent in ('unknown', 'granted', 'withdrawn')),
      add column ${channel}_consent_source text,
      add column ${channel}_consent_at timestamptz`,
        )
        .join(',')};
  `);
}

// What was stored before classes were told apart knew people and machines alone.
const isMachine = `coalesce((e.payload->>'machine')::boolean, false)`;
const isOf = { human: `not ${isMachine}`, machine: isMachine, bot: 'false' };

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table customers
      ${['sms', 'whatsapp']
        .map(
          (channel) =>
            `drop column ${channel}_consent, drop column ${channel}_consent_source, drop column ${channel}_consent_at`,
        )
        .join(', ')};
    delete from suppressions where channel <> 'email';
    alter table suppressions drop constraint suppressions_channel_check;
    alter table suppressions add constraint suppressions_channel_check check (channel in ('email'));
    alter table dispatches
      ${columns.map(([, , column]) => `drop column ${column}`).join(', ')};
  `);
}
