import type { LeftOutReason } from '../../domain/campaigns/types';
import { inTransaction, type Knex, type Rows, type TripStatement } from '../../lib/db';
import { tripAlone, withTenantByKey, type TenantTrip } from '../base';
import { advance, type BlockOutcome, type LeftBlock } from './blocks';
import { keysFirst, reachOf } from '../customers/reach';
import { holdBackCapped, lookAtCaps, noteContacts } from './contacts';
import {
  keysOfCall,
  lockDispatch,
  lookAtRecipients,
  passing,
  passingAll,
  type GateCall,
} from './gateStatements';
import { keysOf, ofDispatch } from './recipients';

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
export async function passGate(
  db: Knex,
  call: GateCall,
  trip = tripAlone(db),
): Promise<GateAnswer> {
  const answer = hasQuickWay(call)
    ? (await passQuickly(trip, call, { raw: lockDispatch(call) })).answer
    : null;
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
  trip = tripAlone(db),
): Promise<{ isSettled: boolean; answer: GateAnswer }> {
  // What it settles it has locked.
  const settling = { raw: advance(before.block, before.outcome) };
  if (!hasQuickWay(call)) {
    const [settled] = await trip(call.tenantId, [settling]);
    return { isSettled: settled?.[0] !== undefined, answer: await passSlowly(db, call) };
  }
  const { first, answer } = await passQuickly(trip, call, settling);
  return { isSettled: first?.[0] !== undefined, answer: answer ?? (await passSlowly(db, call)) };
}

function hasQuickWay({ notRendered, loaded }: GateCall): boolean {
  return notRendered.length === 0 && loaded.ns.length > 0;
}

/** One trip, which suffices where nobody is to be left out; null when it does not. */
async function passQuickly(
  trip: TenantTrip,
  call: GateCall,
  locking: TripStatement,
): Promise<{ first: Rows | undefined; answer: GateAnswer | null }> {
  const [first, passed] = await trip(call.tenantId, [locking, { raw: passingAll(call) }]);
  const attempt: number | null = passed?.[0]?.attempt ?? null;
  return {
    first,
    answer: attempt === null ? null : { kind: 'open', attempt, leftOut: new Set(), heldBack: 0 },
  };
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
  await inTransaction(trx, lockDispatch(call));
  const found = await inTransaction(trx, lookAtRecipients(call));
  const { addresses, hasCap }: Looked = found.rows[0];
  if (addresses !== call.loaded.addresses) {
    throw new GateShut();
  }
  const hasRunCap = hasCap === true;
  const gone = (await leaveOut(trx, call)).map(({ n }) => n);
  const contact = { ...call, dispatch: keysOfCall(call).dispatch };
  const capped = hasRunCap ? await lookAtCaps(trx, contact) : { later: [], never: [] };
  await holdBackCapped(trx, contact, capped);
  const heldBack = capped.later.length;
  const leftOut = new Set([...gone, ...capped.never, ...capped.later.map(({ n }) => n)]);
  const isEmpty = call.loaded.ns.every((n) => leftOut.has(n));
  const passed = await inTransaction(
    trx,
    passing(call, { leftOut: leftOut.size - heldBack, isEmpty }),
  );
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

interface Looked {
  /** The sum of the hashes of the addresses as they are now. */
  addresses: number;
  /** Null where the run is gone. */
  hasCap: boolean | null;
}

/** Rolls the gate's transaction back. */
class GateShut extends Error {
  constructor() {
    super('the gate is shut');
    this.name = 'GateShut';
  }
}

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
