import type { Knex } from 'knex';
import type { Cells } from '../../lib/db';
import { allFields, type CustomerField } from '../../domain/messages/neededFields';
import type { Channel, LeftOutReason } from '../../domain/campaigns/types';
import { forTenantInOneTrip, withTenantByKey } from '../base';
import type { ClaimedDispatch } from './claims';

/** What a message is rendered from; a field nobody asked for is null or empty. */
export interface Recipient {
  n: number;
  email: string | null;
  /** Tells whether the address is still the same at the gate. */
  emailHash: number | null;
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
  const others = [...allFields].filter((field) => wanted.fields?.has(field) ?? true);
  const toRecipient = reader(others);
  const columns = `c.email, hashtext(c.email), c.first_name, c.last_name
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
      name: `recipients:${wanted.dispatch.timeZone === '' ? 'none' : 'zone'}:${fieldsKey(others)}`,
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
        if (recipient.emailHash === null) {
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
  dispatch: DispatchKeys;
  /** All when not given. */
  fields?: ReadonlySet<CustomerField>;
}

type DispatchKeys = Pick<ClaimedDispatch, 'n' | 'timeZone' | 'firstMessageN' | 'lastMessageN'>;

// The messages of a dispatch that have no outcome of their own.
const ofDispatch = `m.run_id = :runId and m.n between :first and :last and m.dispatch_n = :n
  and m.tenant_id = :tenantId and m.outcome is null`;

/** Customers of no zone have a dispatch of their own too. */
function inZone({ dispatch }: { dispatch: DispatchKeys }): string {
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
    emailHash: row[2],
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

export type GateAnswer =
  /** The call may leave, with this attempt, for everyone but `leftOut`. */
  | { kind: 'open'; attempt: number; leftOut: Set<number> }
  /** Nobody is left: the dispatch has ended without a call. */
  | { kind: 'empty' }
  /** Paused, cancelled, replanned, too early, too late, or the claim is lost: drop the work. */
  | { kind: 'shut' };

/**
 * The one gate before a provider call, run right before the bytes leave: leaves out whoever is
 * suppressed, withdrawn, gone, or changed since loading, then turns `claimed` into `calling` if the
 * claim, its lease, the run's gate, the plan version and the wave's window still hold by the
 * database's clock. After `open` only the provider's outcome may write the dispatch.
 */
export async function passGate(db: Knex, call: GateCall): Promise<GateAnswer> {
  if (call.notRendered.length === 0 && call.loaded.ns.length > 0) {
    const [looked, passed] = await forTenantInOneTrip(db, call.tenantId, [
      { raw: lookAtRecipients(db, call, 'inZone') },
      { raw: passStatement(db, call, { leftOut: 0, isEmpty: false }) },
    ]);
    const attempt: number | undefined = passed?.[0]?.attempt;
    if (attempt !== undefined) {
      return { kind: 'open', attempt, leftOut: new Set() };
    }
    if (looked?.[0].isEveryoneReachable === true) {
      return { kind: 'shut' };
    }
  }
  try {
    return await withTenantByKey(db, call.tenantId, (trx) => passWithoutSome(trx, call));
  } catch (error) {
    if (error instanceof GateShut) {
      return { kind: 'shut' };
    }
    throw error;
  }
}

async function passWithoutSome(trx: Knex.Transaction, call: GateCall): Promise<GateAnswer> {
  await lookAtRecipients(trx, call, 'byKey');
  const leftOut = new Set((await leaveOut(trx, call)).map((row) => row.n));
  const isEmpty = call.loaded.ns.every((n) => leftOut.has(n));
  const passed = await passStatement(trx, call, { leftOut: leftOut.size, isEmpty });
  const attempt: number | undefined = passed.rows[0]?.attempt;
  if (attempt === undefined) {
    // Nothing of this may stay: who is left out is found again by whoever sends.
    throw new GateShut();
  }
  return isEmpty ? { kind: 'empty' } : { kind: 'open', attempt, leftOut };
}

/** Rolls the gate's transaction back. */
class GateShut extends Error {
  constructor() {
    super('the gate is shut');
    this.name = 'GateShut';
  }
}

interface GateCall {
  tenantId: string;
  runId: string;
  channel: Channel;
  dispatch: ClaimedDispatch;
  leaseMs: number;
  /** When the windows end in which the call was counted. */
  leaveBefore: Date | null;
  /** Whom the call was rendered for: the numbers of their messages, the sum of their addresses' hashes. */
  loaded: { ns: readonly number[]; addresses: number };
  notRendered: number[];
}

/**
 * The gate itself. It asks what `lookAtRecipients` saw in the same transaction: what was rendered for
 * addresses that are not theirs any more is loaded again, and nobody is written to whom nobody left
 * out.
 */
function passStatement(
  trx: Pick<Knex, 'raw'>,
  call: GateCall,
  { leftOut, isEmpty }: { leftOut: number; isEmpty: boolean },
): Knex.Raw {
  const { dispatch } = call;
  return trx
    .raw(
      `with passed as (
       update dispatches d
          set state = :state, attempt = d.attempt + :calls,
              called_at = case when :calls = 1 then clock_timestamp() else d.called_at end,
              settled_at = case when :calls = 0 then clock_timestamp() end,
              reason = case when :calls = 0 then 'everyoneLeftOut' end,
              lease_until = case when :calls = 1
                then clock_timestamp() + :leaseMs * interval '1 millisecond' end,
              left_out_count = d.left_out_count + :leftOut
         from waves w, campaign_runs r
        where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId
          and d.state = 'claimed' and d.claim_n = :claimN and d.lease_until > clock_timestamp()
          and r.id = d.run_id and r.gate = 'open' and r.plan_version = d.plan_version
          and w.run_id = d.run_id and w.plan_version = d.plan_version and w.n = d.wave_n
          and clock_timestamp() >= w.starts_at and clock_timestamp() < w.closes_at
          and (cast(:leaveBefore as timestamptz) is null or clock_timestamp() < :leaveBefore)
          and current_setting('carillon.addresses') = :addresses
          and (current_setting('carillon.reachable') = 'true' or :areSomeLeftOut)
       returning d.run_id, d.n, d.attempt, d.tenant_id
     ), noted as (
       insert into dispatch_attempts (run_id, dispatch_n, attempt, tenant_id, called_at)
       select run_id, n, attempt, tenant_id, clock_timestamp() from passed where :calls = 1
     )
     select attempt from passed`,
      {
        runId: call.runId,
        n: dispatch.n,
        tenantId: call.tenantId,
        claimN: dispatch.claimN,
        leaseMs: call.leaseMs,
        leaveBefore: call.leaveBefore,
        state: isEmpty ? 'cancelled' : 'calling',
        calls: isEmpty ? 0 : 1,
        leftOut,
        areSomeLeftOut: leftOut > 0,
        addresses: String(call.loaded.addresses),
      },
    )
    .options({ name: 'passGate' });
}

/** Leaves out, for good, whoever can't be written to now. */
async function leaveOut(
  trx: Knex.Transaction,
  call: GateCall,
): Promise<{ n: number; reason: LeftOutReason }[]> {
  const left = await trx.raw(
    `with reasons as (
       select m.n, case when c.id is null then 'erased'
                        when c.email is null then 'noAddress'
                        when c.email_consent = 'withdrawn' then 'withdrawn'
                        when s.address is not null then 'suppressed'
                        when m.n = any(cast(:notRendered as int[])) then 'renderFailed' end as reason
         from messages m
         left join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
         left join suppressions s on s.tenant_id = c.tenant_id and s.channel = :channel
           and s.address = lower(c.email)
        where ${ofDispatch}
     )
     update messages m set outcome = 'left_out', reason = reasons.reason
       from reasons
      where m.run_id = :runId and m.n = reasons.n and reasons.reason is not null
     returning m.n, m.reason`,
    { ...keysOf(call), channel: call.channel, notRendered: call.notRendered },
  );
  return left.rows;
}

/**
 * Locks the dispatch and looks at whom it would reach now, which the transaction remembers for the
 * gate. The lock comes in a statement of its own, so that the gate itself sees the run as it is after
 * any waiting. Counting in one walk through the customers' index takes a tenth of the time of finding
 * a reason for each, and nearly always suffices; whoever has moved to another zone is missed by it
 * and found by the key.
 */
function lookAtRecipients(
  trx: Pick<Knex, 'raw'>,
  call: GateCall,
  where: 'inZone' | 'byKey',
): Knex.Raw {
  return trx
    .raw(
      `with locked as materialized (
         select d.n from dispatches d
          where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId for update
       ), own as materialized (
         select coalesce(array_agg(m.customer_id), '{}') as ids
           from messages m where ${ofDispatch} and exists (select 1 from locked)
       ), looked as (
         select (select cardinality(ids) from own) = count(*) filter (where c.email is not null
                  and c.email_consent <> 'withdrawn' and s.address is null) as reachable,
                coalesce(sum(hashtext(c.email)), 0) as addresses
           from customers c
           left join suppressions s on s.tenant_id = c.tenant_id and s.channel = :channel
             and s.address = lower(c.email)
          where c.tenant_id = :tenantId ${where === 'inZone' ? `and ${inZone(call)}` : ''}
            and c.id = any((select ids from own)::uuid[])
       )
       select reachable as "isEveryoneReachable",
              set_config('carillon.reachable', reachable::text, true),
              set_config('carillon.addresses', addresses::text, true)
         from looked`,
      { ...keysOf(call), channel: call.channel },
    )
    .options({ name: `look:${where}:${call.dispatch.timeZone === '' ? 'none' : 'zone'}` });
}

function keysOf(call: { tenantId: string; runId: string; dispatch: DispatchKeys }) {
  return {
    runId: call.runId,
    tenantId: call.tenantId,
    n: call.dispatch.n,
    timeZone: call.dispatch.timeZone,
    first: call.dispatch.firstMessageN,
    last: call.dispatch.lastMessageN,
  };
}
