import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { MessageEvent } from '../../domain/messages/events';
import { isRefusedValue } from '../../lib/databaseErrors';

interface Apart<T> {
  work(trx: Knex.Transaction, items: T[]): Promise<void>;
  refuse(trx: Knex.Transaction, item: T, reason: string): Promise<void>;
}

/**
 * Does the work for all items at once. Where the database refuses a value, it is done again for
 * either half, until what is refused stands alone: so one item in a thousand costs twenty attempts
 * and no other item its place. Only refused values set an item apart; whatever else goes wrong is
 * thrown, because it would go wrong for every item.
 */
export async function setApart<T>(
  trx: Knex.Transaction,
  items: T[],
  apart: Apart<T>,
): Promise<void> {
  if (items.length === 0) {
    return;
  }
  try {
    await trx.transaction((savepoint) => apart.work(savepoint, items));
    return;
  } catch (error) {
    if (!isRefusedValue(error)) {
      throw error;
    }
    const [only] = items;
    if (items.length === 1 && only !== undefined) {
      await apart.refuse(trx, only, reasonOf(error));
      return;
    }
  }
  const middle = Math.ceil(items.length / 2);
  await setApart(trx, items.slice(0, middle), apart);
  await setApart(trx, items.slice(middle), apart);
}

/** Keeps, without the values that were refused, an event that cannot be stored as it is. */
export async function keepRefusedEvent(
  trx: Knex.Transaction,
  event: MessageEvent,
  reason: string,
): Promise<number> {
  // As text within the JSON, where everything that is no character is escaped once more.
  const asTold = JSON.stringify({ ...event, occurredAt: String(event.occurredAt.getTime()) });
  const digest = createHash('sha256').update(asTold).digest('base64url');
  const kept = await trx.raw(
    `insert into message_events (provider_event_id, source, kind, occurred_at, payload, set_aside)
     values (?, 'carillon', 'refused', clock_timestamp(), cast(? as jsonb), ?)
     on conflict (run_id, provider_event_id) do nothing
     returning id`,
    [`refused:${digest}`, JSON.stringify({ refused: asTold }), reason],
  );
  return kept.rows.length;
}

/** Sets stored events aside: they are kept, and nothing applies them until somebody asks for it. */
export async function setAsideStored(
  trx: Knex.Transaction,
  ids: number[],
  reason: string,
): Promise<void> {
  await trx.raw(`update message_events set set_aside = ? where id = any(cast(? as bigint[]))`, [
    reason,
    ids,
  ]);
}

export interface SetAsideReason {
  reason: string;
  events: number;
  firstReceivedAt: Date;
  lastReceivedAt: Date;
}

/** What is set aside, by reason, in no order of tenants: it is for whoever runs the installation. */
export async function listSetAside(trx: Knex.Transaction): Promise<SetAsideReason[]> {
  const found = await trx.raw(
    `select set_aside as reason, count(*) as events, min(received_at) as "firstReceivedAt",
            max(received_at) as "lastReceivedAt"
       from message_events where set_aside is not null group by set_aside order by set_aside`,
  );
  return found.rows;
}

/**
 * Lines events that were set aside up again, all or those of one reason, and answers how many. Those
 * that could not even be stored stay: there is nothing of them that could be applied.
 */
export async function retrySetAside(trx: Knex.Transaction, reason: string | null): Promise<number> {
  const again = await trx.raw(
    `with again as (
       update message_events e
          set set_aside = null,
              tenant_id = coalesce(e.tenant_id, (select r.tenant_id from campaign_runs r
                                                  where r.id = e.run_id))
        where e.set_aside is not null and e.kind <> 'refused'
          and (cast(:reason as text) is null or e.set_aside = :reason)
       returning e.id
     )
     insert into waiting_events (event_ids, event_count)
     select array_agg(id order by id), count(*)
       from (select id, (row_number() over (order by id) - 1) / 1000 as part from again) parts
      group by part order by part
     returning event_count as events`,
    { reason },
  );
  const lists: { events: number }[] = again.rows;
  return lists.reduce((sum, { events }) => sum + events, 0);
}

export interface WaitingEvents {
  events: number;
  /** How long the one that waits longest has waited; 0 when none does. */
  oldestSeconds: number;
}

/** How far facts are behind events. */
export async function countWaitingEvents(trx: Knex.Transaction): Promise<WaitingEvents> {
  const found = await trx.raw(
    `select (select coalesce(sum(event_count), 0) from waiting_events) as events,
            coalesce((select extract(epoch from clock_timestamp() - e.received_at)
                        from message_events e
                       where e.id = (select event_ids[1] from waiting_events order by id limit 1)),
                     0)::float8 as "oldestSeconds"`,
  );
  return found.rows[0];
}

// The code and the constraint, never the message: it quotes values, which are personal.
function reasonOf(error: unknown): string {
  const code = textOf(error, 'code') ?? 'unknown';
  const constraint = textOf(error, 'constraint');
  return constraint === null ? `refused:${code}` : `refused:${code}:${constraint}`;
}

function textOf(error: unknown, property: string): string | null {
  const value: unknown =
    typeof error === 'object' && error !== null ? Reflect.get(error, property) : null;
  return typeof value === 'string' ? value : null;
}
