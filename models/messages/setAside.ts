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
