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

/** The reason of events that an account told of a run that is not its own. */
export const wrongAccount = 'wrongAccount';

/**
 * Whether the account `a` has no say in what an event tells, in SQL: the run `r` or the test `t` is
 * another tenant's, or the run left by another account. The platform's accounts serve every tenant.
 */
export const isWrongAccount = `(coalesce(a.tenant_id <> coalesce(r.tenant_id, t.tenant_id), false)
  or coalesce(r.account_id <> by.account_id, false))`;

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
 * that could not even be stored stay: there is nothing of them that could be applied. So do those of
 * a wrong account, also when their run has become known only now.
 */
export async function retrySetAside(trx: Knex.Transaction, reason: string | null): Promise<number> {
  const again = await trx.raw(
    `with judged as (
       select by.id, r.tenant_id, ${isWrongAccount} as is_wrong
         from message_events by
         left join provider_accounts a on a.id = by.account_id
         left join campaign_runs r on r.id = by.run_id
         left join test_sends t on t.id = by.run_id
        where by.set_aside is not null and by.set_aside <> '${wrongAccount}' and by.kind <> 'refused'
          and (cast(:reason as text) is null or by.set_aside = :reason)
     ), again as (
       update message_events e
          set set_aside = case when j.is_wrong then '${wrongAccount}' end,
              tenant_id = case when j.is_wrong then e.tenant_id
                               else coalesce(e.tenant_id, j.tenant_id) end
         from judged j
        where e.id = j.id
       returning e.id, e.set_aside
     )
     insert into waiting_events (event_ids, event_count)
     select array_agg(id order by id), count(*)
       from (select id, (row_number() over (order by id) - 1) / 1000 as part
               from again where set_aside is null) parts
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
