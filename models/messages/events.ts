import type { Knex } from 'knex';
import type { MessageEvent } from '../../domain/messages/events';
import { isRefusedValue } from '../../lib/databaseErrors';
import { acrossTenants, acrossTenantsInOneTrip } from '../base';
import { isWrongAccount, keepRefusedEvent, setApart, wrongAccount } from './setAside';

export { applyEvents, type AppliedEvents } from './applyEvents';

/** What became of the events of a delivery; those that were known before are neither. */
export interface StoredEvents {
  stored: number;
  /** Of runs that are not the account's: set aside at once, without a trace on the run. */
  wrongAccount: number;
}

/** Events as they came, and the account whose key they were signed with; null for our own. */
export interface Delivery {
  accountId: string | null;
  events: readonly MessageEvent[];
}

/**
 * Stores events once each, in the order given, and lines them up to be applied; what is known
 * already vanishes. Answers how many were new. An event whose values Postgres refuses is set aside
 * with its reason, and the others are stored. Callers give one order everywhere, so that two
 * deliveries of the same events do not lock up.
 */
export async function storeEvents(
  trx: Knex.Transaction,
  events: readonly MessageEvent[],
): Promise<number> {
  const { stored } = await storeApart(trx, { accountId: null, events });
  return stored;
}

/**
 * The same for a delivery of a provider, in one trip to the database where nothing is refused. An
 * account speaks of its own tenant's runs alone, and of none that left by another account.
 */
export async function storeDelivery(db: Knex, delivery: Delivery): Promise<StoredEvents> {
  if (delivery.events.length === 0) {
    return { stored: 0, wrongAccount: 0 };
  }
  try {
    const [counts] = await acrossTenantsInOneTrip(db, 'eventIntake', [
      { raw: storeStatement(db, delivery) },
    ]);
    return countsOf(counts);
  } catch (error) {
    if (!isRefusedValue(error)) {
      throw error;
    }
  }
  return acrossTenants(db, 'eventIntake', (trx) => storeApart(trx, delivery));
}

async function storeApart(
  trx: Knex.Transaction,
  { accountId, events }: Delivery,
): Promise<StoredEvents> {
  const sum: StoredEvents = { stored: 0, wrongAccount: 0 };
  await setApart(trx, [...events], {
    work: async (within, some) => {
      const { rows } = await storeStatement(within, { accountId, events: some });
      const { stored, wrongAccount } = countsOf(rows);
      sum.stored += stored;
      sum.wrongAccount += wrongAccount;
    },
    refuse: async (within, event, reason) => {
      sum.stored += await keepRefusedEvent(within, event, reason);
    },
  });
  return sum;
}

// A list of events that wait is applied as a whole, so it stays a part of what one batch takes.
const mostInOneList = 1_000;

// An event of a run that is not the account's must not take the place of the true one: it is kept
// beside the runs, under a name of its own, and suppresses nobody.
function storeStatement(trx: Pick<Knex, 'raw'>, { accountId, events }: Delivery): Knex.Raw {
  return trx
    .raw(
      `with given as (
       select * from unnest(cast(? as text[]), cast(? as text[]), cast(? as uuid[]),
         cast(? as int[]), cast(? as int[]), cast(? as int[]), cast(? as text[]),
         cast(? as float8[]), cast(? as jsonb[])) with ordinality
         as g (provider_event_id, source, run_id, dispatch_n, attempt, message_n, kind,
               occurred_at_ms, payload, position)
     ), judged as (
       select g.*, by.account_id, a.tenant_id as account_tenant_id,
              coalesce(r.tenant_id, t.tenant_id) as run_tenant_id, ${isWrongAccount} as is_wrong
         from given g
         cross join (select cast(? as text) as account_id) as by
         left join provider_accounts a on a.id = by.account_id
         left join campaign_runs r on r.id = g.run_id
         left join test_sends t on t.id = g.run_id
     ), stored as (
       insert into message_events (provider_event_id, source, run_id, tenant_id, dispatch_n,
         attempt, message_n, kind, occurred_at, payload, account_id, set_aside)
       select case when is_wrong then 'wrongAccount:' || account_id || ':' || provider_event_id
                   else provider_event_id end,
              source,
              case when not is_wrong then run_id end,
              case when is_wrong or run_id is null then account_tenant_id else run_tenant_id end,
              case when not is_wrong then dispatch_n end,
              case when not is_wrong then attempt end,
              case when not is_wrong then message_n end,
              kind, to_timestamp(occurred_at_ms / 1000),
              case when is_wrong then (payload - 'suppress') || jsonb_build_object('toldOf',
                     jsonb_build_object('runId', run_id, 'dispatchN', dispatch_n,
                       'attempt', attempt, 'messageN', message_n))
                   else payload end,
              account_id, case when is_wrong then '${wrongAccount}' end
         from judged
        order by position
       on conflict (run_id, provider_event_id) do nothing
       returning id, set_aside
     ), listed as (
       insert into waiting_events (event_ids, event_count)
       select array_agg(id order by id), count(*)
         from (select id, (row_number() over (order by id) - 1) / ${mostInOneList} as part
                 from stored where set_aside is null) new
        group by part order by part
       returning event_count
     )
     select (select coalesce(sum(event_count), 0) from listed)::int as "stored",
            (select count(*) from stored where set_aside is not null)::int as "wrongAccount"`,
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
        accountId,
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

function countsOf(rows: StoredEvents[] | undefined): StoredEvents {
  const [counts] = rows ?? [];
  return counts ?? { stored: 0, wrongAccount: 0 };
}
