import type { Knex } from 'knex';
import type { Cells } from '../../lib/db';
import type { Channel } from '../../domain/campaigns/types';
import { markRows, packColumns, packedNull, unpackColumns } from '../../lib/packedRows';
import { allFields, type CustomerField } from '../../domain/messages/neededFields';
import { unplain, unplainInName } from '../../domain/messages/plainText';
import { forTenantInOneTrip } from '../base';
import { reachOf } from '../customers/reach';
import type { ClaimedDispatch } from './claims';

/** What a message is rendered from; a field nobody asked for is null or empty. */
export interface Recipient {
  n: number;
  email: string | null;
  /** Of the address of the channel; null as well where only the sum is asked for. */
  addressHash: number | null;
  phone: string | null;
  firstName: string | null;
  lastName: string | null;
  language: string | null;
  timeZone: string | null;
  externalId: string | null;
  tags: string[];
  attributes: Record<string, unknown>;
  /** All these texts are known to be plain (`isPlainText`), those of the name even between commas. */
  isPlain: boolean;
}

/** The sum of the hashes of all addresses, which the gate compares. */
export interface LoadedAddresses {
  addresses: number;
}

const columnOf: Record<CustomerField, string> = {
  phone: 'c.phone',
  language: 'c.language',
  timeZone: 'c.time_zone',
  externalId: 'c.external_id',
  tags: 'cast(to_json(c.tags) as text)',
  attributes: 'cast(c.attributes as text)',
};

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
): Promise<LoadedAddresses> {
  const others = [...allFields].filter(
    (field) =>
      (wanted.fields?.has(field) ?? true) || (field === 'phone' && wanted.channel !== 'email'),
  );
  const names = others.includes('attributes') ? (wanted.attributes ?? null) : null;
  const fields = names === null ? others : others.filter((field) => field !== 'attributes');
  const { address } = reachOf[wanted.channel];
  const hashed = `cast(hashtext(${address}) as text)`;
  const areHashesSummed = wanted.areHashesSummed === true;
  const columns = [
    'cast(own.n as text)',
    ...always,
    ...fields.map((field) => columnOf[field]),
    ...(names ?? []).map((_, index) => `(c.attributes ->> :name${index})`),
    ...(areHashesSummed ? [] : [hashed]),
  ];
  const toRecipient = reader(fields, names ?? [], areHashesSummed);
  const addressPlace = columns.indexOf(address);
  const loaded: LoadedAddresses = { addresses: 0 };
  // Whom to read again by the key, and which address of theirs the sum has already.
  const again = new Map<number, string | null>();
  let isAllAgain = false;
  const ofZone = db
    .raw(
      `with own as materialized (
         select m.n, m.customer_id from messages m where ${ofDispatch}
       )
       select cast(count(*) as int), coalesce(sum(hashtext(${address})), 0),
              ${packColumns(columns)}
         from own left join customers c on c.id = own.customer_id
          and c.tenant_id = :tenantId and ${inZone(wanted)}
          and c.id = any((select array_agg(customer_id) from own)::uuid[])`,
      {
        ...keysOf(wanted),
        none: packedNull,
        ...Object.fromEntries((names ?? []).map((name, index) => [`name${index}`, name])),
      },
    )
    .options({
      rowMode: 'array',
      name: `to:${wanted.channel}:${wanted.dispatch.timeZone === '' ? 'none' : 'zone'}:${areHashesSummed ? 'sum' : 'each'}:${fieldsKey(fields)}:${names?.length ?? ''}`,
    });
  await forTenantInOneTrip(db, wanted.tenantId, [
    // Postgres expects one message and would compare each of a thousand with each customer.
    {
      raw: db.raw(`select set_config('enable_nestloop', 'off', true)`).options({ name: 'hashed' }),
    },
    {
      raw: ofZone,
      onRow: ([rows, addresses, ...packed]) => {
        if (rows === 0) {
          return;
        }
        const unpacked = unpackColumns(packed, { rows });
        if (unpacked === null) {
          isAllAgain = true;
          return;
        }
        loaded.addresses = addresses;
        const unlike = new Uint8Array(rows);
        for (let column = 1; column < packed.length; column += 1) {
          const pattern =
            column === firstNamePlace || column === lastNamePlace ? unplainInName : unplain;
          markRows(packed[column], { pattern, marks: unlike });
        }
        for (let row = 0; row < rows; row += 1) {
          const summed = unpacked[addressPlace]?.[row] ?? null;
          const recipient = summed === null ? null : toRecipient(unpacked, row, unlike[row] === 0);
          if (recipient === null) {
            again.set(Number(unpacked[0]?.[row]), summed);
          } else {
            take(recipient);
          }
        }
      },
    },
  ]);
  if (isAllAgain || again.size > 0) {
    await loadByKey(db, wanted, { ns: isAllAgain ? null : [...again.keys()], others }, (one) => {
      const summed = again.get(one.n) ?? null;
      if (summed === null) {
        loaded.addresses += one.addressHash ?? 0;
      } else if (summed !== (wanted.channel === 'email' ? one.email : one.phone)) {
        // It changed between the two readings: no sum that the gate can find is right.
        loaded.addresses = Number.NaN;
      }
      take(one);
    });
  }
  return loaded;
}

// The first columns: number, address, names.
const always = ['c.email', 'c.first_name', 'c.last_name'];
const firstNamePlace = 2;
const lastNamePlace = 3;
const firstOther = 4;

/** The same for some messages or (null) all, wherever their customers are and whatever their values are. */
async function loadByKey(
  db: Knex,
  wanted: RecipientsWanted,
  { ns, others }: { ns: number[] | null; others: CustomerField[] },
  take: (recipient: Recipient) => void,
): Promise<void> {
  const toRecipient = reader(others, [], false);
  const columns = [
    'cast(m.n as text)',
    ...always,
    ...others.map((field) => columnOf[field]),
    `cast(hashtext(${reachOf[wanted.channel].address}) as text)`,
  ];
  const raw = db
    .raw(
      `select ${columns.join()}
         from messages m join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
        where ${ofDispatch} and (cast(:ns as int[]) is null or m.n = any(cast(:ns as int[])))`,
      { ...keysOf(wanted), ns },
    )
    .options({ rowMode: 'array' });
  const onRow = (row: Cells) => {
    const recipient = toRecipient(
      row.map((cell) => [cell]),
      0,
      false,
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
  /** Only the sum of the addresses' hashes is needed, not each one's. */
  areHashesSummed?: boolean;
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

type Columns = readonly (readonly (string | null)[])[];

/**
 * Makes recipients of columns: number, address, names, then the given fields and attributes, and at
 * the end the address's hash if it is not summed. Null for one whose attribute does not print as its
 * text.
 */
function reader(
  fields: readonly CustomerField[],
  names: readonly string[],
  areHashesSummed: boolean,
): (columns: Columns, row: number, isPlain: boolean) => Recipient | null {
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
  const hashPlace = areHashesSummed ? null : firstAttribute + names.length;
  return (columns, row, isPlain) => {
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
      firstName: at(firstNamePlace),
      lastName: at(lastNamePlace),
      phone: at(places.phone),
      language: at(places.language),
      timeZone: at(places.timeZone),
      externalId: at(places.externalId),
      tags: tags === null ? [] : JSON.parse(tags),
      attributes,
      isPlain,
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
  return first > nine
    ? text !== 'false'
    : WHOLE.test(text) || !NUMBER.test(text) || String(Number(text)) === text;
}

// Whole numbers that JavaScript writes as they are, told in a third of the time of writing them.
const WHOLE = /^(?:0|-?[1-9]\d{0,14})$/;

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
