import type { Knex } from 'knex';
import type { Channel, LeftOutReason } from '../../domain/campaigns/types';
import type { Rows, TripStatement } from '../../lib/db';
import { forTenantInOneTrip, withTenantByKey } from '../base';
import { advance, type BlockOutcome, type LeftBlock } from './blocks';
import { keysFirst, reachOf } from '../customers/reach';
import type { ClaimedDispatch } from './claims';
import { hasCap, holdBackCapped, lookAtCaps, noteContacts } from './contacts';
import { inZone, keysOf, ofDispatch } from './recipients';

export type GateAnswer =
  /**
   * The call may leave, with this attempt, for everyone but `leftOut`; of these so many are only held
   * back by a cap, and their messages wait in other dispatches.
   */
  | { kind: 'open'; attempt: number; leftOut: Set<number>; heldBack: number }
  /** Nobody is left: the dispatch has ended without a call. */
  | { kind: 'empty'; heldBack: number }
  /** Paused, cancelled, replanned, too early, too late, or the claim is lost: drop the work. */
  | { kind: 'shut' };

/**
 * The one gate before a provider call, run right before the bytes leave: leaves out whoever is
 * suppressed, withdrawn, gone, capped, or changed since loading, then turns `claimed` into `calling` if the
 * claim, its lease, the run's gate, the plan version and the wave's window still hold by the
 * database's clock. After `open` only the provider's outcome may write the dispatch.
 */
export async function passGate(db: Knex, call: GateCall): Promise<GateAnswer> {
  const answer = hasQuickWay(call) ? (await passQuickly(db, call, [])).answer : null;
  return answer ?? passSlowly(db, call);
}

/**
 * The same for the block after one that was accepted whole, whose settlement goes first in the same
 * trip; `isSettled` says whether it was. Both have happened or, when it throws, maybe neither.
 */
export async function settleAndPass(
  db: Knex,
  before: { block: LeftBlock; outcome: BlockOutcome },
  call: GateCall,
): Promise<{ isSettled: boolean; answer: GateAnswer }> {
  const settling = { raw: advance(db, before.block, before.outcome) };
  if (!hasQuickWay(call)) {
    const [settled] = await forTenantInOneTrip(db, call.tenantId, [settling]);
    return { isSettled: settled?.[0] !== undefined, answer: await passSlowly(db, call) };
  }
  const { first, answer } = await passQuickly(db, call, [settling]);
  const isSettled = first?.[0] !== undefined;
  return { isSettled, answer: answer ?? (await passSlowly(db, call)) };
}

function hasQuickWay({ notRendered, loaded }: GateCall): boolean {
  return notRendered.length === 0 && loaded.ns.length > 0;
}

/** One trip, which suffices where nobody is to be left out; null when it does not. */
async function passQuickly(
  db: Knex,
  call: GateCall,
  before: TripStatement[],
): Promise<{ first: Rows | undefined; answer: GateAnswer | null }> {
  const rows = await forTenantInOneTrip(db, call.tenantId, [
    ...before,
    { raw: lookAtRecipients(db, call, 'inZone') },
    { raw: passing(db, call, { leftOut: 0, isEmpty: false, areCapsKept: false }) },
  ]);
  const [first] = rows;
  const [looked, passed] = rows.slice(-2);
  const attempt: number | undefined = passed?.[0]?.attempt;
  if (attempt !== undefined) {
    return { first, answer: { kind: 'open', attempt, leftOut: new Set(), heldBack: 0 } };
  }
  const isShut = looked?.[0].isEveryoneReachable === true && looked[0].hasCap !== true;
  return { first, answer: isShut ? { kind: 'shut' } : null };
}

async function passSlowly(db: Knex, call: GateCall): Promise<GateAnswer> {
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
  const looked = await lookAtRecipients(trx, call, 'byKey');
  const hasRunCap: boolean = looked.rows[0]?.hasCap === true;
  const gone = (await leaveOut(trx, call)).map(({ n }) => n);
  const contact = { ...call, dispatch: keysOfCall(call).dispatch };
  const capped = hasRunCap ? await lookAtCaps(trx, contact) : { later: [], never: [] };
  await holdBackCapped(trx, contact, capped);
  const heldBack = capped.later.length;
  const leftOut = new Set([...gone, ...capped.never, ...capped.later.map(({ n }) => n)]);
  const isEmpty = call.loaded.ns.every((n) => leftOut.has(n));
  const passed = await passing(trx, call, {
    leftOut: leftOut.size - heldBack,
    isEmpty,
    areCapsKept: true,
  });
  const attempt: number | undefined = passed.rows[0]?.attempt;
  if (attempt === undefined) {
    // Nothing of this may stay: who is left out is found again by whoever sends.
    throw new GateShut();
  }
  if (isEmpty) {
    return { kind: 'empty', heldBack };
  }
  if (hasRunCap) {
    await noteContacts(trx, contact);
  }
  return { kind: 'open', attempt, leftOut, heldBack };
}

/** Rolls the gate's transaction back. */
class GateShut extends Error {
  constructor() {
    super('the gate is shut');
    this.name = 'GateShut';
  }
}

export interface GateCall {
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
  /** Given where each message is a call: then these are the calls of a part of the dispatch. */
  block?: GateBlock;
}

/** A block of calls of one dispatch, by the messages' numbers. What is before it is settled. */
export interface GateBlock {
  firstMessageN: number;
  lastMessageN: number;
  /** The attempt that the blocks before it have; null for the first. */
  attempt: number | null;
  accountId: string;
}

interface Passing {
  leftOut: number;
  isEmpty: boolean;
  /** Without it no call of a run with a cap passes. */
  areCapsKept: boolean;
}

function passing(trx: Pick<Knex, 'raw'>, call: GateCall, passed: Passing): Knex.Raw {
  return call.block === undefined
    ? passStatement(trx, call, passed)
    : passBlockStatement(trx, call, call.block, passed);
}

/**
 * The gate itself. It asks what `lookAtRecipients` saw in the same transaction: what was rendered for
 * addresses that are not theirs any more is loaded again, and nobody is written to whom nobody left
 * out.
 */
function passStatement(
  trx: Pick<Knex, 'raw'>,
  call: GateCall,
  { leftOut, isEmpty, areCapsKept }: Passing,
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
          and ${mayLeave}
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
        areCapsKept,
        addresses: String(call.loaded.addresses),
      },
    )
    .options({ name: 'passGate' });
}

/**
 * The gate of a block: everything above `intent_upto` has not left, and what is between
 * `settled_upto` and it may have. Nothing leaves while the vendor has asked the account to wait.
 */
function passBlockStatement(
  trx: Pick<Knex, 'raw'>,
  call: GateCall,
  block: GateBlock,
  { leftOut, isEmpty, areCapsKept }: Passing,
): Knex.Raw {
  return trx
    .raw(
      `with passed as (
       update dispatches d
          set state = case when :calls = 1 then 'calling' else d.state end,
              attempt = d.attempt + case when d.state = 'claimed' then :calls else 0 end,
              called_at = case when :calls = 1 then clock_timestamp() else d.called_at end,
              intent_upto = case when :calls = 1 then cast(:upto as int) else d.intent_upto end,
              settled_upto = case when :calls = 1
                then cast(:settledUpto as int) else cast(:upto as int) end,
              lease_until = clock_timestamp() + :leaseMs * interval '1 millisecond',
              left_out_count = d.left_out_count + :leftOut
         from waves w, campaign_runs r
        where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId
          and (d.state = 'claimed'
            or (d.state = 'calling' and d.attempt = :attempt and d.settled_upto = :settledUpto
              and d.intent_upto <= d.settled_upto))
          and d.claim_n = :claimN and d.lease_until > clock_timestamp()
          and not exists (select 1 from usable_accounts a
                           where a.id = :accountId
                             and (not a.active or a.blocked_until > clock_timestamp()))
          and ${mayLeave}
       returning d.run_id, d.n, d.attempt, d.tenant_id
     ), noted as (
       insert into dispatch_attempts (run_id, dispatch_n, attempt, tenant_id, called_at)
       select run_id, n, attempt, tenant_id, clock_timestamp() from passed where :calls = 1
       on conflict do nothing
     )
     select attempt from passed`,
      {
        runId: call.runId,
        n: call.dispatch.n,
        tenantId: call.tenantId,
        claimN: call.dispatch.claimN,
        attempt: block.attempt,
        accountId: block.accountId,
        leaseMs: call.leaseMs,
        leaveBefore: call.leaveBefore,
        settledUpto: block.firstMessageN - 1,
        upto: block.lastMessageN,
        calls: isEmpty ? 0 : 1,
        leftOut,
        areSomeLeftOut: leftOut > 0,
        areCapsKept,
        addresses: String(call.loaded.addresses),
      },
    )
    .options({ name: 'passBlock' });
}

// What has to hold of the run, the wave and the recipients for bytes to leave, in either gate.
const mayLeave = `r.id = d.run_id and r.gate = 'open' and r.plan_version = d.plan_version
  and w.run_id = d.run_id and w.plan_version = d.plan_version and w.n = d.wave_n
  and clock_timestamp() >= w.starts_at and clock_timestamp() < w.closes_at
  and (cast(:leaveBefore as timestamptz) is null or clock_timestamp() < :leaveBefore)
  and current_setting('carillon.addresses') = :addresses
  and (current_setting('carillon.reachable') = 'true' or :areSomeLeftOut)
  and (:areCapsKept or not ${hasCap})`;

/** Leaves out, for good, whoever can't be written to now. */
async function leaveOut(
  trx: Knex.Transaction,
  call: GateCall,
): Promise<{ n: number; reason: LeftOutReason }[]> {
  const { address, consent, suppressionKey } = reachOf[call.channel];
  const left = await trx.raw(
    `with reasons as (
       select o.n, case when o.id is null then 'erased'
                        when o.address is null then 'noAddress'
                        when o.consent = 'withdrawn' then 'withdrawn'
                        when s.address is not null then 'suppressed'
                        when o.n = any(cast(:notRendered as int[])) then 'renderFailed' end as reason
         from (
           select m.n, c.id, ${address} as address, ${consent} as consent,
                  ${suppressionKey} as suppression_key
             from messages m
             left join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
            where ${ofDispatch} ${keysFirst}) o
         left join suppressions s on s.tenant_id = :tenantId and s.channel = :channel
           and s.address = o.suppression_key
     )
     update messages m set outcome = 'left_out', reason = reasons.reason
       from reasons
      where m.run_id = :runId and m.n = reasons.n and reasons.reason is not null
     returning m.n, m.reason`,
    { ...keysOf(keysOfCall(call)), channel: call.channel, notRendered: call.notRendered },
  );
  return left.rows;
}

/**
 * Locks the dispatch and looks at whom it would reach now, which the transaction remembers for the
 * gate. The lock comes in a statement of its own, so that the gate itself sees the run as it is after
 * any waiting. Counting in one walk through the customers' index takes a tenth of the time of finding
 * a reason for each, and nearly always suffices; whoever has moved to another zone is missed by it
 * and found by the key. The suppressed are asked for as one list, which the index sorts and walks
 * along; one by one they cost twice as much as all the rest.
 */
function lookAtRecipients(
  trx: Pick<Knex, 'raw'>,
  call: GateCall,
  where: 'inZone' | 'byKey',
): Knex.Raw {
  const { address, consent, suppressionKey } = reachOf[call.channel];
  return trx
    .raw(
      `with locked as materialized (
         select d.n from dispatches d
          where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId for update
       ), own as materialized (
         select coalesce(array_agg(m.customer_id), '{}') as ids
           from messages m where ${ofDispatch} and exists (select 1 from locked)
       ), met as materialized (
         select ${address} as address, ${consent} as consent, ${suppressionKey} as suppression_key
           from customers c
          where c.tenant_id = :tenantId ${where === 'inZone' ? `and ${inZone(call)}` : ''}
            and c.id = any((select ids from own)::uuid[])
       ), suppressed as (
         select exists (
           select 1 from suppressions s
            where s.tenant_id = :tenantId and s.channel = :channel
              and s.address = any((select array_agg(suppression_key) from met)::text[])) as are_some
       ), looked as (
         select (select cardinality(ids) from own) = count(*) filter (where address is not null
                  and consent <> 'withdrawn') and not (select are_some from suppressed) as reachable,
                coalesce(sum(hashtext(address)), 0) as addresses
           from met
       )
       select reachable as "isEveryoneReachable",
              (select ${hasCap} from campaign_runs r where r.id = :runId) as "hasCap",
              set_config('carillon.reachable', reachable::text, true),
              set_config('carillon.addresses', addresses::text, true)
         from looked`,
      { ...keysOf(keysOfCall(call)), channel: call.channel },
    )
    .options({
      name: `look:${call.channel}:${where}:${call.dispatch.timeZone === '' ? 'none' : 'zone'}`,
    });
}

function keysOfCall({ tenantId, runId, dispatch, block }: GateCall) {
  return { tenantId, runId, dispatch: block === undefined ? dispatch : { ...dispatch, ...block } };
}
