import type { Knex } from 'knex';
import type { Cells } from '../../lib/db';
import type { Channel } from '../../domain/campaigns/types';
import { allFields, type CustomerField } from '../../domain/messages/neededFields';
import { forTenantInOneTrip } from '../base';
import { reachOf } from '../customers/reach';
import type { ClaimedDispatch } from './claims';

/** What a message is rendered from; a field nobody asked for is null or empty. */
export interface Recipient {
  n: number;
  email: string | null;
  /** Tells whether the address of the channel is still the same at the gate. */
  addressHash: number | null;
  phone: string | null;
  firstName: string | null;
  lastName: string | null;
  language: string | null;
  timeZone: string | null;
  externalId: string | null;
  tags: string[];
  attributes: Record<string, unknown>;
}

const columnOf: Record<CustomerField, string> = {
  phone: 'phone',
  language: 'language',
  timeZone: 'time_zone',
  externalId: 'external_id',
  tags: 'tags',
  attributes: 'attributes',
};

/**
 * The customers of a dispatch whose messages have no outcome of their own, one by one as they arrive:
 * address and name, and only those other fields that are asked for, because reading a column costs
 * as much as rendering it. Those of one zone lie side by side in the customers' index, so they are
 * looked for there first; whoever has moved since the planning is found by the key.
 */
export async function loadRecipients(
  db: Knex,
  wanted: RecipientsWanted,
  take: (recipient: Recipient) => void,
): Promise<void> {
  const others = [...allFields].filter(
    (field) =>
      (wanted.fields?.has(field) ?? true) || (field === 'phone' && wanted.channel !== 'email'),
  );
  const toRecipient = reader(others);
  const columns = `c.email, hashtext(${reachOf[wanted.channel].address}), c.first_name, c.last_name
    ${others.map((field) => `, c.${columnOf[field]}`).join('')}`;
  const movedNs: number[] = [];
  const ofZone = db
    .raw(
      `with own as materialized (
         select m.n, m.customer_id from messages m where ${ofDispatch}
       )
       select own.n, ${columns}
         from own left join customers c on c.id = own.customer_id
          and c.tenant_id = :tenantId and ${inZone(wanted)}
          and c.id = any((select array_agg(customer_id) from own)::uuid[])`,
      keysOf(wanted),
    )
    .options({
      rowMode: 'array',
      name: `to:${wanted.channel}:${wanted.dispatch.timeZone === '' ? 'none' : 'zone'}:${fieldsKey(others)}`,
    });
  await forTenantInOneTrip(db, wanted.tenantId, [
    // Postgres expects one message and would compare each of a thousand with each customer.
    {
      raw: db.raw(`select set_config('enable_nestloop', 'off', true)`).options({ name: 'hashed' }),
    },
    {
      raw: ofZone,
      onRow: (row) => {
        const recipient = toRecipient(row);
        if (recipient.addressHash === null) {
          movedNs.push(recipient.n);
        } else {
          take(recipient);
        }
      },
    },
  ]);
  if (movedNs.length === 0) {
    return;
  }
  const byKey = db
    .raw(
      `select m.n, ${columns}
         from messages m join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
        where ${ofDispatch} and m.n = any(cast(:movedNs as int[]))`,
      { ...keysOf(wanted), movedNs },
    )
    .options({ rowMode: 'array' });
  const onRow = (row: Cells) => take(toRecipient(row));
  await forTenantInOneTrip(db, wanted.tenantId, [{ raw: byKey, onRow }]);
}

export interface RecipientsWanted {
  tenantId: string;
  runId: string;
  channel: Channel;
  dispatch: DispatchKeys;
  /** All when not given. */
  fields?: ReadonlySet<CustomerField>;
}

/** A dispatch, or a part of it: from its first to its last message. */
export type DispatchKeys = Pick<
  ClaimedDispatch,
  'n' | 'timeZone' | 'firstMessageN' | 'lastMessageN'
>;

/** SQL: the message `m` is of the dispatch (`keysOf`) and has no outcome of its own. */
export const ofDispatch = `m.run_id = :runId and m.n between :first and :last and m.dispatch_n = :n
  and m.tenant_id = :tenantId and m.outcome is null`;

/** Customers of no zone have a dispatch of their own too. */
export function inZone({ dispatch }: { dispatch: DispatchKeys }): string {
  return dispatch.timeZone === '' ? 'c.time_zone is null' : 'c.time_zone = :timeZone';
}

// Postgres takes 63 characters for a statement's name.
function fieldsKey(fields: CustomerField[]): string {
  return fields.map((field) => field.slice(0, 4)).join();
}

function reader(others: CustomerField[]): (row: Cells) => Recipient {
  const at = (field: CustomerField) => {
    const index = others.indexOf(field);
    return index === -1 ? -1 : index + 5;
  };
  const places = {
    phone: at('phone'),
    language: at('language'),
    timeZone: at('timeZone'),
    externalId: at('externalId'),
    tags: at('tags'),
    attributes: at('attributes'),
  };
  return (row) => ({
    n: row[0],
    email: row[1],
    addressHash: row[2],
    firstName: row[3],
    lastName: row[4],
    phone: row[places.phone] ?? null,
    language: row[places.language] ?? null,
    timeZone: row[places.timeZone] ?? null,
    externalId: row[places.externalId] ?? null,
    tags: row[places.tags] ?? [],
    attributes: row[places.attributes] ?? {},
  });
}

/** The bindings that `ofDispatch` and `inZone` speak of. */
export function keysOf(call: { tenantId: string; runId: string; dispatch: DispatchKeys }) {
  return {
    runId: call.runId,
    tenantId: call.tenantId,
    n: call.dispatch.n,
    timeZone: call.dispatch.timeZone,
    first: call.dispatch.firstMessageN,
    last: call.dispatch.lastMessageN,
  };
}
