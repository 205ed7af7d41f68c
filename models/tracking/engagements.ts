import type { Knex } from 'knex';
import { burstMs, engagementClasses, verdictOf } from '../../domain/tracking/classify';

const kinds = { opened: 'opens', clicked: 'clicks' } as const;

// Events of the time before there were classes say no more than whether it was a machine.
const engagementClass = `coalesce(e.payload->'detail'->>'class',
  case when coalesce((e.payload->>'machine')::boolean, false) then 'machine' else 'human' end)`;

const counts = Object.entries(kinds).flatMap(([kind, plural]) =>
  engagementClasses.map((name) => ({ kind, name, column: `${name}_${plural}_count` })),
);

/**
 * Adds the openings and clicks among these events, by who made them, to the counts of their
 * dispatches. For a batch that is applied once, in its transaction, with its dispatches locked.
 */
export async function countEngagements(trx: Knex.Transaction, ids: number[]): Promise<void> {
  await trx.raw(
    `with counts as (
       select m.run_id, m.dispatch_n,
              ${counts
                .map(
                  ({ kind, name, column }) =>
                    `count(*) filter (where e.kind = '${kind}' and ${engagementClass} = '${name}') as ${column}`,
                )
                .join(', ')}
         from message_events e join messages m on m.run_id = e.run_id and m.n = e.message_n
        where e.id = any(cast(? as bigint[])) and e.kind in ('opened', 'clicked')
        group by m.run_id, m.dispatch_n
     )
     update dispatches d
        set ${counts.map(({ column }) => `${column} = d.${column} + c.${column}`).join(', ')}
       from counts c where d.run_id = c.run_id and d.n = c.dispatch_n`,
    [ids],
  );
}

/**
 * Makes bots of clicks on different links of one message within a second, those of this batch and
 * those that were applied before it: what these counted for a person is taken back, so that the
 * ledger is the same whatever batch a click came in. For the transaction of the batch, before its
 * facts, with its dispatches locked.
 */
export async function classBursts(trx: Knex.Transaction, ids: number[]): Promise<void> {
  const changed = await trx.raw(
    `with given as materialized (
       select id, run_id, message_n, occurred_at, payload->'detail'->>'link' as link
         from message_events
        where id = any(cast(:ids as bigint[])) and kind = 'clicked' and source = 'carillon'
          and run_id is not null
     ), pairs as (
       select g.id as given_id, e.id as other_id
         from given g
         join message_events e on e.run_id = g.run_id and e.message_n = g.message_n
          and e.kind = 'clicked' and e.source = 'carillon'
          and e.payload->'detail'->>'link' <> g.link
          and e.occurred_at between g.occurred_at - cast(:burst as interval)
            and g.occurred_at + cast(:burst as interval)
     ), members as (
       select e.id, ${engagementClass} as class
         from message_events e
        where e.id in (select given_id from pairs union select other_id from pairs)
     )
     update message_events e
        set payload = e.payload || jsonb_build_object('machine', true,
              'detail', e.payload->'detail' || cast(:verdict as jsonb))
       from members m where e.id = m.id and m.class <> 'bot'
     returning e.id, m.class`,
    { ids, burst: `${burstMs} ms`, verdict: JSON.stringify(verdictOf('manyLinks')) },
  );
  const inBatch = new Set(ids);
  const rows: { id: number; class: string }[] = changed.rows;
  const earlier = rows.filter(({ id }) => !inBatch.has(id));
  if (earlier.length > 0) {
    await takeBack(trx, earlier);
  }
}

/** Takes back what these clicks, bots as is known now, counted when they were applied. */
async function takeBack(
  trx: Knex.Transaction,
  clicks: { id: number; class: string }[],
): Promise<void> {
  await trx.raw(
    `with taken as (
       select e.run_id, e.message_n,
              count(*) filter (where t.class = 'human') as human,
              count(*) filter (where t.class = 'machine') as machine
         from unnest(cast(:ids as bigint[]), cast(:classes as text[])) as t (id, class)
         join message_events e on e.id = t.id
        where ${isApplied}
        group by e.run_id, e.message_n
     ), remaining as (
       select t.run_id, t.message_n, m.dispatch_n, t.human, t.machine,
              m.first_clicked_at as before,
              (select min(e.occurred_at) from message_events e
                where e.run_id = t.run_id and e.message_n = t.message_n and e.kind = 'clicked'
                  and not coalesce((e.payload->>'machine')::boolean, false)
                  and ${isApplied}) as first_clicked_at
         from taken t join messages m on m.run_id = t.run_id and m.n = t.message_n
     ), corrected as (
       update messages m set first_clicked_at = r.first_clicked_at
         from remaining r where m.run_id = r.run_id and m.n = r.message_n
     ), counts as (
       select run_id, dispatch_n, sum(human) as human, sum(machine) as machine,
              count(*) filter (where before is not null and first_clicked_at is null) as clicked
         from remaining group by run_id, dispatch_n
     )
     update dispatches d
        set human_clicks_count = d.human_clicks_count - c.human,
            machine_clicks_count = d.machine_clicks_count - c.machine,
            bot_clicks_count = d.bot_clicks_count + c.human + c.machine,
            clicked_count = d.clicked_count - c.clicked
       from counts c where d.run_id = c.run_id and d.n = c.dispatch_n`,
    { ids: clicks.map(({ id }) => id), classes: clicks.map((click) => click.class) },
  );
}

// What still waits counts when it is applied, as what it is by then.
const isApplied = `e.set_aside is null
  and not exists (select from waiting_events w where e.id = any(w.event_ids))`;
