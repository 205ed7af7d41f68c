import type { Knex } from 'knex';
import type { MessageEvent } from '../../domain/messages/events';
import { isRefusedValue } from '../../lib/databaseErrors';
import { inOneTrip } from '../../lib/db';
import { keepRefusedEvent, setApart } from './setAside';

export { applyEvents, type AppliedEvents } from './applyEvents';

/**
 * Stores events once each, in the order given, and lines them up to be applied; what is known
 * already vanishes. Answers how many were new. An event whose values Postgres refuses is set aside
 * with its reason, and the others are stored. Callers give one order everywhere, so that two
 * deliveries of the same events do not lock up.
 */
export async function storeEvents(trx: Knex.Transaction, events: MessageEvent[]): Promise<number> {
  let stored = 0;
  await setApart(trx, events, {
    work: async (within, some) => {
      const added = await storeStatement(within, some);
      stored += newOf(added.rows);
    },
    refuse: async (within, event, reason) => {
      stored += await keepRefusedEvent(within, event, reason);
    },
  });
  return stored;
}

/** The same for a delivery of a provider, in one trip to the database where nothing is refused. */
export async function storeDelivery(db: Knex, events: MessageEvent[]): Promise<number> {
  if (events.length === 0) {
    return 0;
  }
  try {
    const [, added] = await inOneTrip(db, [
      { raw: db.raw(purpose).options({ name: 'eventIntake' }) },
      { raw: storeStatement(db, events) },
    ]);
    return newOf(added ?? []);
  } catch (error) {
    if (!isRefusedValue(error)) {
      throw error;
    }
  }
  return db.transaction(async (trx) => {
    await trx.raw(purpose);
    return storeEvents(trx, events);
  });
}

const purpose = `select set_config('carillon.purpose', 'eventIntake', true)`;

// A list of events that wait is applied as a whole, so it stays a part of what one batch takes.
const mostInOneList = 1_000;

function storeStatement(trx: Pick<Knex, 'raw'>, events: MessageEvent[]): Knex.Raw {
  return trx
    .raw(
      `with given as (
       select * from unnest(cast(? as text[]), cast(? as text[]), cast(? as uuid[]),
         cast(? as int[]), cast(? as int[]), cast(? as int[]), cast(? as text[]),
         cast(? as float8[]), cast(? as jsonb[])) with ordinality
         as g (provider_event_id, source, run_id, dispatch_n, attempt, message_n, kind,
               occurred_at_ms, payload, position)
     ), stored as (
       insert into message_events (provider_event_id, source, run_id, tenant_id, dispatch_n,
         attempt, message_n, kind, occurred_at, payload)
       select g.provider_event_id, g.source, g.run_id, coalesce(r.tenant_id, t.tenant_id),
              g.dispatch_n, g.attempt, g.message_n, g.kind,
              to_timestamp(g.occurred_at_ms / 1000), g.payload
         from given g
         left join campaign_runs r on r.id = g.run_id
         left join test_sends t on t.id = g.run_id
        order by g.position
       on conflict (run_id, provider_event_id) do nothing
       returning id
     )
     insert into waiting_events (event_ids, event_count)
     select array_agg(id order by id), count(*)
       from (select id, (row_number() over (order by id) - 1) / ${mostInOneList} as part from stored) new
      group by part order by part
     returning event_count as "eventCount"`,
      [
        texts(events.map((event) => event.providerEventId)),
        texts(events.map((event) => event.source)),
        plain(events.map((event) => event.runId)),
        plain(events.map((event) => event.dispatchN)),
        plain(events.map((event) => event.attempt)),
        plain(events.map((event) => event.messageN)),
        texts(events.map((event) => event.kind)),
        plain(events.map((event) => event.occurredAt.getTime())),
        texts(events.map(payloadOf)),
      ],
    )
    .options({ name: 'storeEvents' });
}

function payloadOf({ suppress, machine, detail }: MessageEvent): string {
  return JSON.stringify({
    ...(suppress === null ? {} : { suppress }),
    ...(machine ? { machine } : {}),
    detail,
  });
}

// Arrays as Postgres reads them. The driver's own way tries every value for every escape.
function plain(values: (string | number | null)[]): string {
  return `{${values.map((value) => value ?? 'null').join(',')}}`;
}

function texts(values: string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

function newOf(lists: { eventCount: number }[]): number {
  return lists.reduce((sum, { eventCount }) => sum + eventCount, 0);
}
