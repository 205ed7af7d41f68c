import type { Knex } from 'knex';
import { allFields, type CustomerField } from '../../domain/messages/neededFields';
import type { Channel, LeftOutReason } from '../../domain/campaigns/types';
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

const columns: Record<CustomerField, string> = {
  phone: 'phone',
  language: 'language',
  timeZone: 'time_zone',
  externalId: 'external_id',
  tags: 'tags',
  attributes: 'attributes',
};

/**
 * The customers of a dispatch whose messages have no outcome of their own: address and name, and
 * only those other fields that are asked for, because reading a column costs as much as rendering it.
 */
export async function loadRecipients(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
  dispatch: { n: number; firstMessageN: number; lastMessageN: number },
  fields: ReadonlySet<CustomerField> = allFields,
): Promise<Recipient[]> {
  const wanted = [...allFields].filter((field) => fields.has(field));
  const loaded = await trx
    .raw(
      `select m.n, c.email, hashtext(c.email), c.first_name, c.last_name
              ${wanted.map((field) => `, c.${columns[field]}`).join('')}
         from messages m
         join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
        where m.run_id = :runId and m.n between :first and :last and m.dispatch_n = :dispatchN
          and m.tenant_id = :tenantId and m.outcome is null
        order by m.n`,
      {
        runId,
        first: dispatch.firstMessageN,
        last: dispatch.lastMessageN,
        dispatchN: dispatch.n,
        tenantId,
      },
    )
    // Rows as lists: with names, a thousand of them take twice as long to take apart.
    .options({ rowMode: 'array', name: `recipients:${wanted.join()}` });
  const at = (field: CustomerField) => {
    const index = wanted.indexOf(field);
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
  return loaded.rows.map(
    // oxlint-disable-next-line typescript/no-explicit-any -- pg types no cell
    (row: any[]): Recipient => ({
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
    }),
  );
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
export async function passGate(
  trx: Knex.Transaction,
  call: GateCall & { leaseMs: number; loaded: Pick<Recipient, 'n' | 'emailHash'>[] },
): Promise<GateAnswer> {
  const { dispatch } = call;
  const now = await lookAtRecipients(trx, call);
  const loadedAddresses = call.loaded.reduce((sum, one) => sum + (one.emailHash ?? 0), 0);
  if (now.addresses !== loadedAddresses) {
    // What was rendered is for addresses that are not theirs any more: it is loaded again.
    throw new GateShut();
  }
  const isNobodyLeftOut = now.isEveryoneReachable && call.notRendered.length === 0;
  const leftOut = isNobodyLeftOut ? [] : await leaveOut(trx, call);
  const leftOutNs = new Set(leftOut.map((row) => row.n));
  const empty = call.loaded.every((recipient) => leftOutNs.has(recipient.n));
  const passed = await trx
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
        state: empty ? 'cancelled' : 'calling',
        calls: empty ? 0 : 1,
        leftOut: leftOut.length,
      },
    )
    .options({ name: 'passGate' });
  const attempt: number | undefined = passed.rows[0]?.attempt;
  if (attempt === undefined) {
    // Nothing of this may stay: who is left out is found again by whoever sends.
    throw new GateShut();
  }
  return empty ? { kind: 'empty' } : { kind: 'open', attempt, leftOut: leftOutNs };
}

/** Rolls the gate's transaction back; `passGate`'s caller answers it with `shut`. */
export class GateShut extends Error {
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
  notRendered: number[];
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
        where m.run_id = :runId and m.n between :first and :last and m.dispatch_n = :n
          and m.tenant_id = :tenantId and m.outcome is null
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
 * Locks the dispatch and looks at whom it would reach now. The lock comes in a statement of its own,
 * so that the gate itself sees the run as it is after any waiting. Counting in one walk through the
 * customers' index takes half the time of finding a reason for each, and nearly always suffices.
 */
async function lookAtRecipients(
  trx: Knex.Transaction,
  call: GateCall,
): Promise<{ isEveryoneReachable: boolean; addresses: number }> {
  const looked = await trx
    .raw(
      `with locked as materialized (
         select d.n from dispatches d
          where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId for update
       ), own as materialized (
         select coalesce(array_agg(m.customer_id), '{}') as ids
           from messages m
          where m.run_id = :runId and m.n between :first and :last and m.dispatch_n = :n
            and m.tenant_id = :tenantId and m.outcome is null
            and exists (select 1 from locked)
       )
       select (select cardinality(ids) from own) = count(*) filter (where c.email is not null
                and c.email_consent <> 'withdrawn' and s.address is null) as "isEveryoneReachable",
              coalesce(sum(hashtext(c.email)), 0) as addresses
         from customers c
         left join suppressions s on s.tenant_id = c.tenant_id and s.channel = :channel
           and s.address = lower(c.email)
        where c.tenant_id = :tenantId and c.id = any((select ids from own)::uuid[])`,
      { ...keysOf(call), channel: call.channel },
    )
    .options({ name: 'lookAtRecipients' });
  return looked.rows[0];
}

function keysOf(call: GateCall) {
  return {
    runId: call.runId,
    tenantId: call.tenantId,
    n: call.dispatch.n,
    first: call.dispatch.firstMessageN,
    last: call.dispatch.lastMessageN,
  };
}
