import { inTransaction, prepareOnce, type Knex, type PreparedStatement } from '../../lib/db';
import type { Channel } from '../../domain/campaigns/types';
import type { SuppressionReason } from '../../domain/messages/events';
import { forTenantInOneTrip, withTenantByKey } from '../base';
import { releaseContacts } from './contacts';
import { moveOut, type DoubtfulMessage, type UntakenMessage } from './moveOut';
import { settleCall, type Call } from './settle';

/** A block of calls that has left: the messages from its first to its last, of one attempt. */
export interface LeftBlock extends Call {
  claimN: number;
  channel: Channel;
  firstMessageN: number;
  lastMessageN: number;
}

type Suppress = { address: string; reason: SuppressionReason } | null;

/** What became of the calls of a block; every message of it that left is in one of these. */
export interface BlockOutcome {
  accepted: { n: number; providerMessageId: string | null }[];
  /** For good; `suppress` is what it means for later messages to the address. */
  refused: {
    n: number;
    status: number;
    reason: string;
    suppress: Suppress;
  }[];
  doubtful: DoubtfulMessage[];
  /** Surely not taken: they go again, each after its wait. */
  notSent: UntakenMessage[];
}

/**
 * Writes what became of a block. Nearly always all of it was accepted: that takes one statement and
 * no message is touched. A doubt and what was not taken become dispatches of their own. When the
 * claim was lost meanwhile, what is known is written to the dispatches that the messages are in now.
 */
export async function settleBlock(
  db: Knex,
  block: LeftBlock,
  outcome: BlockOutcome,
): Promise<void> {
  if (isAllAccepted(outcome)) {
    const [moved] = await forTenantInOneTrip(db, block.tenantId, [
      { raw: advance(block, outcome) },
    ]);
    if (moved?.[0] !== undefined) {
      return;
    }
  }
  await withTenantByKey(db, block.tenantId, async (trx) => {
    if (!(await lockBlock(trx, block))) {
      await settleLate(trx, block, outcome);
      return;
    }
    const notTaken = [...outcome.refused, ...outcome.notSent].map(({ n }) => n);
    await releaseContacts(trx, block, notTaken);
    await refuse(trx, block, outcome.refused);
    await moveOut(trx, block, {
      doubtful: outcome.doubtful,
      notSent: outcome.notSent,
      notSentAbove: null,
      wait: null,
    });
    await inTransaction(trx, advance(block, outcome));
  });
}

export function isAllAccepted({ refused, doubtful, notSent }: BlockOutcome): boolean {
  return refused.length + doubtful.length + notSent.length === 0;
}

/**
 * All that there is to write of a block that was accepted whole, to be sent with what comes next. It
 * answers a row; without one the claim was lost, and `settleBlock` finds out what is to be done.
 */
export function advance(block: LeftBlock, { accepted }: BlockOutcome): PreparedStatement {
  // Some mail servers give their messages no ids.
  const named = accepted.filter(({ providerMessageId }) => providerMessageId !== null);
  return advancing({
    ...keyOf(block),
    claimN: block.claimN,
    firstMessageN: block.firstMessageN,
    lastMessageN: block.lastMessageN,
    ns: named.map(({ n }) => n),
    ids: named.map(({ providerMessageId }) => providerMessageId),
  });
}

const advancing = prepareOnce(
  'settleBlock',
  `with moved as (
     update dispatches d set settled_upto = :lastMessageN
      where d.run_id = :runId and d.n = :dispatchN and d.tenant_id = :tenantId
        and d.state = 'calling' and d.attempt = :attempt and d.claim_n = :claimN
        and d.intent_upto = :lastMessageN and d.settled_upto = :firstMessageN - 1
     returning d.n
   ), kept as (
     insert into dispatch_blocks (run_id, dispatch_n, attempt, first_message_n, tenant_id,
       message_ns, provider_message_ids)
     select :runId, n, :attempt, :firstMessageN, :tenantId, cast(:ns as int[]), cast(:ids as text[])
       from moved where cardinality(cast(:ns as int[])) > 0
   )
   select n from moved`,
);

/** Locks the dispatch; answers whether the block is still the one that is under way. */
async function lockBlock(trx: Knex.Transaction, block: LeftBlock): Promise<boolean> {
  const found = await trx.raw(
    `select 1 from dispatches d
      where d.run_id = :runId and d.n = :dispatchN and d.tenant_id = :tenantId
        and d.state = 'calling' and d.attempt = :attempt and d.claim_n = :claimN
        and d.intent_upto = :lastMessageN and d.settled_upto = :settledUpto for update`,
    {
      ...keyOf(block),
      claimN: block.claimN,
      lastMessageN: block.lastMessageN,
      settledUpto: block.firstMessageN - 1,
    },
  );
  return found.rows.length > 0;
}

async function refuse(
  trx: Knex.Transaction,
  block: Pick<LeftBlock, 'tenantId' | 'runId' | 'dispatchN' | 'attempt' | 'channel'>,
  refused: BlockOutcome['refused'],
): Promise<void> {
  if (refused.length === 0) {
    return;
  }
  await trx.raw(
    `with told as (
       select * from unnest(cast(:ns as int[]), cast(:reasons as text[])) as t (n, reason)
     ), refused as (
       update messages m set outcome = 'refused', reason = told.reason
         from told
        where m.run_id = :runId and m.tenant_id = :tenantId and m.n = told.n
          and m.dispatch_n = :dispatchN and m.outcome is null
       returning 1
     )
     update dispatches set refused_count = refused_count + (select count(*) from refused)
      where run_id = :runId and n = :dispatchN and tenant_id = :tenantId`,
    {
      ...keyOf(block),
      ns: refused.map(({ n }) => n),
      reasons: refused.map(({ reason }) => reason),
    },
  );
  await suppressRefused(
    trx,
    block,
    refused.map((one) => one.suppress),
  );
}

/** Writes down which addresses get nothing more of the channel; what is known already stays. */
export async function suppressRefused(
  trx: Knex.Transaction,
  { tenantId, runId, channel }: Pick<LeftBlock, 'tenantId' | 'runId' | 'channel'>,
  wishes: readonly Suppress[],
): Promise<void> {
  const told = wishes.filter((wish) => wish !== null);
  if (told.length > 0) {
    await trx.raw(
      `insert into suppressions (tenant_id, channel, address, reason, run_id)
       select distinct on (address) :tenantId, :channel, address, reason, :runId
         from unnest(cast(:addresses as text[]), cast(:reasons as text[])) as t (address, reason)
        order by address
       on conflict (tenant_id, channel, address) do nothing`,
      {
        tenantId,
        channel,
        runId,
        addresses: told.map(({ address }) =>
          channel === 'email' ? address.toLowerCase() : address,
        ),
        reasons: told.map(({ reason }) => reason),
      },
    );
  }
}

/** The replies came after others had given the calls up: each message stands alone by now. */
async function settleLate(
  trx: Knex.Transaction,
  block: LeftBlock,
  outcome: BlockOutcome,
): Promise<void> {
  const where = await trx.raw(
    `select m.n, m.dispatch_n as "dispatchN" from messages m
       join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
      where m.run_id = :runId and m.tenant_id = :tenantId
        and m.n between :firstMessageN and :lastMessageN and d.message_count = 1`,
    { ...keyOf(block), firstMessageN: block.firstMessageN, lastMessageN: block.lastMessageN },
  );
  const rows: { n: number; dispatchN: number }[] = where.rows;
  const dispatchOf = new Map(rows.map(({ n, dispatchN }) => [n, dispatchN]));
  const callOf = (n: number): Call | null => {
    const dispatchN = dispatchOf.get(n);
    return dispatchN === undefined ? null : { ...block, dispatchN };
  };
  for (const { n, providerMessageId } of outcome.accepted) {
    const call = callOf(n);
    if (call !== null) {
      await settleCall(trx, call, { outcome: 'accepted', providerMessageId, status: null });
    }
  }
  for (const { n, status, reason } of outcome.refused) {
    const call = callOf(n);
    if (call !== null) {
      await settleCall(trx, call, { outcome: 'refused', status, reason });
    }
  }
  await suppressRefused(
    trx,
    block,
    outcome.refused.map((one) => one.suppress),
  );
  for (const { n, wait } of outcome.notSent) {
    const call = callOf(n);
    if (call !== null) {
      const { delayMs = 0, reason = 'notSent' } = wait ?? {};
      await settleCall(trx, call, { outcome: 'not_sent', status: null, reason, delayMs });
    }
  }
}

/** The bindings of one call. */
export function keyOf({ tenantId, runId, dispatchN, attempt }: Call) {
  return { tenantId, runId, dispatchN, attempt };
}
