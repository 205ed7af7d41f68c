import type { LeftOutReason } from '../../domain/campaigns/types';
import { inTransaction, type Knex, type Rows, type TripStatement } from '../../lib/db';
import { forTenantInOneTrip, withTenantByKey } from '../base';
import { advance, type BlockOutcome, type LeftBlock } from './blocks';
import { keysFirst, reachOf } from '../customers/reach';
import { holdBackCapped, lookAtCaps, noteContacts } from './contacts';
import { keysOfCall, lookAtRecipients, passing, type GateCall } from './gateStatements';
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
  const settling = { raw: advance(before.block, before.outcome) };
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
    { raw: lookAtRecipients(call, 'inZone') },
    { raw: passing(call, { leftOut: 0, isEmpty: false, areCapsKept: false }) },
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
  const looked = await inTransaction(trx, lookAtRecipients(call, 'byKey'));
  const hasRunCap: boolean = looked.rows[0]?.hasCap === true;
  const gone = (await leaveOut(trx, call)).map(({ n }) => n);
  const contact = { ...call, dispatch: keysOfCall(call).dispatch };
  const capped = hasRunCap ? await lookAtCaps(trx, contact) : { later: [], never: [] };
  await holdBackCapped(trx, contact, capped);
  const heldBack = capped.later.length;
  const leftOut = new Set([...gone, ...capped.never, ...capped.later.map(({ n }) => n)]);
  const isEmpty = call.loaded.ns.every((n) => leftOut.has(n));
  const passed = await inTransaction(
    trx,
    passing(call, { leftOut: leftOut.size - heldBack, isEmpty, areCapsKept: true }),
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
