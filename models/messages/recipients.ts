import type { Knex } from 'knex';
import type { Cells } from '../../lib/db';
import type { Channel } from '../../domain/campaigns/types';
import { packColumns, packedNull, unpackColumns } from '../../lib/packedRows';
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
  phone: 'c.phone',
  language: 'c.language',
  timeZone: 'c.time_zone',
  externalId: 'c.external_id',
  tags: 'cast(to_json(c.tags) as text)',
  attributes: 'cast(c.attributes as text)',
};

// Enough rows to be worth one text, few enough that wide ones are not all in memory at once.
const rowsInText = 256;

/**
 * The customers of a dispatch whose messages have no outcome of their own, one by one as they arrive:
 * address and name, and only those other fields that are asked for, because reading a column costs
 * as much as rendering it. Those of one zone lie side by side in the customers' index, so they are
 * looked for there first; whoever has moved since the planning is found by the key, as is who has a
 * value that can't be read the quick way.
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
  const names = others.includes('attributes') ? (wanted.attributes ?? null) : null;
  const fields = names === null ? others : others.filter((field) => field !== 'attributes');
  const always = [
    'c.email',
    `cast(hashtext(${reachOf[wanted.channel].address}) as text)`,
    'c.first_name',
    'c.last_name',
  ];
  const columns = [
    'cast(own.n as text)',
    ...always,
    ...fields.map((field) => columnOf[field]),
    ...(names ?? []).map((_, index) => `(c.attributes ->> :name${index})`),
  ];
  const toRecipient = reader(fields, names ?? []);
  const byKeyNs: number[] = [];
  const byKeyGroups: number[] = [];
  const ofZone = db
    .raw(
      `with own as materialized (
         select m.n, m.customer_id from messages m where ${ofDispatch}
       )
       select own.n / ${rowsInText}, cast(count(*) as int), ${packColumns(columns)}
         from own left join customers c on c.id = own.customer_id
          and c.tenant_id = :tenantId and ${inZone(wanted)}
          and c.id = any((select array_agg(customer_id) from own)::uuid[])
        group by 1`,
      {
        ...keysOf(wanted),
        none: packedNull,
        ...Object.fromEntries((names ?? []).map((name, index) => [`name${index}`, name])),
      },
    )
    .options({
      rowMode: 'array',
      name: `to:${wanted.channel}:${wanted.dispatch.timeZone === '' ? 'none' : 'zone'}:${fieldsKey(fields)}:${names?.length ?? ''}`,
    });
  await forTenantInOneTrip(db, wanted.tenantId, [
    // Postgres expects one message and would compare each of a thousand with each customer.
    {
      raw: db.raw(`select set_config('enable_nestloop', 'off', true)`).options({ name: 'hashed' }),
    },
    {
      raw: ofZone,
      onRow: ([group, rows, ...packed]) => {
        const unpacked = unpackColumns(packed, { rows });
        if (unpacked === null) {
          byKeyGroups.push(group);
          return;
        }
        for (let row = 0; row < rows; row += 1) {
          const recipient = unpacked[hashPlace]?.[row] === null ? null : toRecipient(unpacked, row);
          if (recipient === null) {
            byKeyNs.push(Number(unpacked[0]?.[row]));
          } else {
            take(recipient);
          }
        }
      },
    },
  ]);
  if (byKeyNs.length + byKeyGroups.length > 0) {
    await loadByKey(db, wanted, { ns: byKeyNs, groups: byKeyGroups }, { always, others }, take);
  }
}

/** The same for some messages, wherever their customers are and whatever their values are. */
async function loadByKey(
  db: Knex,
  wanted: RecipientsWanted,
  { ns, groups }: { ns: number[]; groups: number[] },
  { always, others }: { always: string[]; others: CustomerField[] },
  take: (recipient: Recipient) => void,
): Promise<void> {
  const toRecipient = reader(others, []);
  const raw = db
    .raw(
      `select ${['cast(m.n as text)', ...always, ...others.map((field) => columnOf[field])].join()}
         from messages m join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
        where ${ofDispatch} and (m.n = any(cast(:ns as int[]))
           or m.n / ${rowsInText} = any(cast(:groups as int[])))`,
      { ...keysOf(wanted), ns, groups },
    )
    .options({ rowMode: 'array' });
  const onRow = (row: Cells) => {
    const recipient = toRecipient(
      row.map((cell) => [cell]),
      0,
    );
    if (recipient !== null) {
      take(recipient);
    }
  };
  await forTenantInOneTrip(db, wanted.tenantId, [{ raw, onRow }]);
}

export interface RecipientsWanted {
  tenantId: string;
  runId: string;
  channel: Channel;
  dispatch: DispatchKeys;
  /** All when not given. */
  fields?: ReadonlySet<CustomerField>;
  /** When they are only printed: the attributes that are, each as the text that shows it. */
  attributes?: readonly string[] | null;
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

// The first columns: number, address, its hash, names.
const hashPlace = 2;
const firstOther = 5;

type Columns = readonly (readonly (string | null)[])[];

/**
 * Makes recipients of columns: number, address, its hash, names, then the given fields and attributes.
 * Null for one whose attribute does not print as its text.
 */
function reader(
  fields: readonly CustomerField[],
  names: readonly string[],
): (columns: Columns, row: number) => Recipient | null {
  const placeOf = (field: CustomerField) => {
    const index = fields.indexOf(field);
    return index === -1 ? null : index + firstOther;
  };
  const places = {
    phone: placeOf('phone'),
    language: placeOf('language'),
    timeZone: placeOf('timeZone'),
    externalId: placeOf('externalId'),
    tags: placeOf('tags'),
    attributes: placeOf('attributes'),
  };
  const firstAttribute = firstOther + fields.length;
  return (columns, row) => {
    // What nobody asked for has no column. Asked of a list at a place it cannot have, it would be
    // looked for by name, which costs more than all the rest.
    const at = (place: number | null) => (place === null ? null : (columns[place]?.[row] ?? null));
    const addressHash = at(hashPlace);
    const tags = at(places.tags);
    const whole = at(places.attributes);
    const attributes: Record<string, unknown> = whole === null ? {} : JSON.parse(whole);
    for (let index = 0; index < names.length; index += 1) {
      const text = at(firstAttribute + index);
      if (text !== null && !printsAsItsText(text)) {
        return null;
      }
      attributes[names[index] ?? ''] = text;
    }
    return {
      n: Number(at(0)),
      email: at(1),
      addressHash: addressHash === null ? null : Number(addressHash),
      firstName: at(3),
      lastName: at(4),
      phone: at(places.phone),
      language: at(places.language),
      timeZone: at(places.timeZone),
      externalId: at(places.externalId),
      tags: tags === null ? [] : JSON.parse(tags),
      attributes,
    };
  };
}

// As Postgres writes a number of JSON: never with an exponent.
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/**
 * Whether a message shows of a JSON value what Postgres does: of all but lists, objects, `false` and
 * numbers that JavaScript writes in another way. A text that looks like one of them passes for it.
 */
function printsAsItsText(text: string): boolean {
  const first = text.charCodeAt(0);
  if (first === openBracket || first === openBrace) {
    return false;
  }
  // Only a digit or a minus begins a number.
  return first > nine ? text !== 'false' : !NUMBER.test(text) || String(Number(text)) === text;
}

const nine = 0x39;
const openBracket = 0x5b;
const openBrace = 0x7b;

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
