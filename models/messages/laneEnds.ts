import { inTransaction, prepareOnce, type Knex, type PreparedStatement } from '../../lib/db';
import { tripAlone, withTenantByKey } from '../base';
import { advance, keyOf, type BlockOutcome, type LeftBlock } from './blocks';
import { moveOut, type Wait } from './moveOut';
import type { Call } from './settle';

/**
 * Ends a lane's work on a dispatch: what is settled stays, and what no block has reached goes to a
 * dispatch of its own in the same wave. Only while the claim holds; nothing of it is under way then.
 */
export async function endLane(
  db: Knex,
  lane: Pick<LeftBlock, 'tenantId' | 'runId' | 'dispatchN' | 'claimN'>,
  wait: Wait | null,
): Promise<void> {
  await withTenantByKey(db, lane.tenantId, async (trx) => {
    const found = await trx.raw(
      `select d.attempt, d.settled_upto as "settledUpto", d.last_message_n as "lastMessageN"
         from dispatches d
        where d.run_id = :runId and d.n = :dispatchN and d.tenant_id = :tenantId
          and d.state in ('claimed', 'calling') and d.claim_n = :claimN for update`,
      {
        runId: lane.runId,
        dispatchN: lane.dispatchN,
        tenantId: lane.tenantId,
        claimN: lane.claimN,
      },
    );
    const dispatch: LaneState | undefined = found.rows[0];
    if (dispatch === undefined) {
      return;
    }
    const call = { ...lane, attempt: dispatch.attempt };
    const settledUpto = dispatch.settledUpto ?? 0;
    const notSentAbove = settledUpto < dispatch.lastMessageN ? settledUpto : null;
    await moveOut(trx, call, { doubtful: [], notSent: [], notSentAbove, wait });
    await closeDispatch(trx, call);
  });
}

/**
 * Settles the last block of a lane, all of it accepted, and ends the lane in the same trip. What did
 * not come about, because the claim was lost or more is left, is for `settleBlock` and `endLane`.
 */
export async function settleAndEnd(
  db: Knex,
  block: LeftBlock,
  outcome: BlockOutcome,
  trip = tripAlone(db),
): Promise<{ isSettled: boolean; hasEnded: boolean }> {
  const [settled, ended] = await trip(block.tenantId, [
    { raw: advance(block, outcome) },
    { raw: closing(block, block.claimN) },
  ]);
  return { isSettled: settled?.[0] !== undefined, hasEnded: ended?.[0] !== undefined };
}

interface LaneState {
  attempt: number;
  settledUpto: number | null;
  lastMessageN: number;
}

/**
 * The process of a lane is gone: what it had meant to call and nobody settled is in doubt, message by
 * message, but for those that an event has proven; what it had not reached goes to another dispatch.
 */
export async function abandonLane(
  trx: Knex.Transaction,
  call: Call,
  lane: { settledUpto: number; intentUpto: number },
): Promise<number> {
  const found = await trx.raw(
    `select m.n from messages m
      where m.run_id = :runId and m.tenant_id = :tenantId and m.dispatch_n = :dispatchN
        and m.outcome is null and m.n > :settledUpto and m.n <= :intentUpto`,
    { ...keyOf(call), ...lane },
  );
  const underWay: { n: number }[] = found.rows;
  const { doubted } = await moveOut(trx, call, {
    doubtful: underWay.map(({ n }) => ({ n, status: null, reason: 'processGone' })),
    notSent: [],
    notSentAbove: lane.intentUpto,
    wait: null,
  });
  await closeDispatch(trx, call);
  return doubted;
}

/** Gives a dispatch whose every message is settled or gone its end. */
async function closeDispatch(trx: Knex.Transaction, call: Call): Promise<void> {
  await inTransaction(trx, closing(call, null));
}

/** With a claim only while that one holds and every block of the dispatch is settled. */
function closing(call: Call, claimN: number | null): PreparedStatement {
  return closingDispatch({ ...keyOf(call), claimN });
}

const closingDispatch = prepareOnce(
  'closeDispatch',
  `with next as (
     select case when message_count = 0 then 'split'
                 when message_count > left_out_count + refused_count then 'accepted'
                 when refused_count > 0 then 'refused' else 'cancelled' end as state
       from dispatches
      where run_id = :runId and n = :dispatchN and tenant_id = :tenantId
        and (cast(:claimN as int) is null or (claim_n = :claimN and attempt = :attempt
          and state = 'calling' and settled_upto >= last_message_n))
   ), noted as (
     update dispatch_attempts a
        set settled_at = clock_timestamp(), proven_by = 'reply',
            outcome = case when next.state = 'accepted' then 'accepted'
              when next.state = 'refused' then 'refused'
              when exists (select 1 from dispatches o join dispatch_attempts t
                               on t.run_id = o.run_id and t.dispatch_n = o.n and t.attempt = :attempt
                            where o.run_id = :runId and o.parent_n = :dispatchN)
                then 'in_doubt' else 'not_sent' end
       from next
      where a.run_id = :runId and a.dispatch_n = :dispatchN and a.attempt = :attempt
        and a.outcome is null
   )
   update dispatches d
      set state = next.state, settled_at = clock_timestamp(), lease_until = null,
          reason = case next.state when 'cancelled' then 'everyoneLeftOut' end
     from next
    where d.run_id = :runId and d.n = :dispatchN and d.tenant_id = :tenantId
   returning d.n`,
);
