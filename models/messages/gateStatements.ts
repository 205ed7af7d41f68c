import type { Channel } from '../../domain/campaigns/types';
import { prepareOnce, type PreparedStatement } from '../../lib/db';
import { reachOf } from '../customers/reach';
import type { ClaimedDispatch } from './claims';
import { hasCap } from './contacts';
import { inZone, keysOf, ofDispatch } from './recipients';

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

/** What a gate that leaves some out lets through. */
interface Passing {
  leftOut: number;
  isEmpty: boolean;
}

/**
 * Locks the dispatch, in a statement of its own: so what comes after it sees the run and its customers
 * as they are after any waiting.
 */
export function lockDispatch({ tenantId, runId, dispatch }: GateCall): PreparedStatement {
  return locking({ tenantId, runId, n: dispatch.n });
}

const locking = prepareOnce(
  'lockDispatch',
  `select 1 from dispatches d
    where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId for update`,
);

/**
 * The gate of a locked dispatch whose every recipient may be written to, which is nearly always so: it
 * answers one row, whose `attempt` is null when that does not hold or it is shut. Counting in one walk
 * through the customers' index takes a tenth of the time of finding a reason for each; whoever has moved
 * to another zone is missed by it.
 */
export function passingAll(call: GateCall): PreparedStatement {
  const { channel, dispatch, leaseMs, leaveBefore, loaded, block } = call;
  const kind = block === undefined ? 'whole' : block.attempt === null ? 'first' : 'next';
  const zone = dispatch.timeZone === '' ? 'none' : 'zone';
  const statement = prepareAt(`pass:${channel}:${kind}:${zone}`, () => passingAllSql(call, kind));
  return statement({
    ...keysOf(keysOfCall(call)),
    channel,
    claimN: dispatch.claimN,
    leaseMs,
    leaveBefore,
    addresses: loaded.addresses,
    ...(block === undefined ? {} : ofBlock(block)),
  });
}

/** A call of all of the dispatch, or of its first block, or of a block after others. */
type CallKind = 'whole' | 'first' | 'next';

function passingAllSql(call: GateCall, kind: CallKind): string {
  const begins = `state = 'calling', attempt = d.attempt + 1`;
  const changes = {
    whole: `${begins}, settled_at = null, reason = null`,
    first: `${begins}, intent_upto = :upto, settled_upto = :settledUpto`,
    next: 'intent_upto = :upto',
  };
  const when = {
    whole: `d.state = 'claimed'`,
    first: `d.state = 'claimed' and ${takesCalls}`,
    next: `${isNextBlock} and ${takesCalls}`,
  };
  return `with ${looked(call)}, passed as (
       update dispatches d
          set ${changes[kind]}, called_at = clock_timestamp(), lease_until = ${lease}
         from waves w, campaign_runs r, looked
        where ${isOurs} and ${when[kind]} and ${mayLeave} and not ${hasCap}
          and looked.are_all_reachable and looked.addresses = cast(:addresses as bigint)
       returning d.run_id, d.n, d.attempt, d.tenant_id
     )${kind === 'next' ? '' : `, noted as (${noted})`}
     select (select attempt from passed) as attempt`;
}

/**
 * The same once `lookAtRecipients` has looked and some were left out. Everything above `intent_upto` of
 * a block has not left, and what is between `settled_upto` and it may have.
 */
export function passing(call: GateCall, { leftOut, isEmpty }: Passing): PreparedStatement {
  const { tenantId, runId, dispatch, leaseMs, leaveBefore, block } = call;
  const values = {
    runId,
    n: dispatch.n,
    tenantId,
    claimN: dispatch.claimN,
    leaseMs,
    leaveBefore,
    calls: isEmpty ? 0 : 1,
    leftOut,
  };
  return block === undefined
    ? passingWhole({ ...values, state: isEmpty ? 'cancelled' : 'calling' })
    : passingBlock({ ...values, ...ofBlock(block) });
}

function ofBlock({ firstMessageN, lastMessageN, attempt, accountId }: GateBlock) {
  return { attempt, accountId, settledUpto: firstMessageN - 1, upto: lastMessageN };
}

const isOurs = `d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId
  and d.claim_n = :claimN and d.lease_until > clock_timestamp()`;
const lease = `clock_timestamp() + :leaseMs * interval '1 millisecond'`;

// What has to hold of the run and the wave for bytes to leave, in any gate.
const mayLeave = `r.id = d.run_id and r.gate = 'open' and r.plan_version = d.plan_version
  and w.run_id = d.run_id and w.plan_version = d.plan_version and w.n = d.wave_n
  and clock_timestamp() >= w.starts_at and clock_timestamp() < w.closes_at
  and (cast(:leaveBefore as timestamptz) is null or clock_timestamp() < :leaveBefore)`;

// Where each message is a call, nothing leaves while the vendor has asked the account to wait.
const takesCalls = `not exists (select 1 from usable_accounts a
  where a.id = :accountId and (not a.active or a.blocked_until > clock_timestamp()))`;
const isNextBlock = `d.state = 'calling' and d.attempt = :attempt
  and d.settled_upto = :settledUpto and d.intent_upto <= d.settled_upto`;

const noted = `insert into dispatch_attempts (run_id, dispatch_n, attempt, tenant_id, called_at)
  select run_id, n, attempt, tenant_id, clock_timestamp() from passed`;

const passingWhole = prepareOnce(
  'passGate',
  `with passed as (
     update dispatches d
        set state = :state, attempt = d.attempt + :calls,
            called_at = case when :calls = 1 then clock_timestamp() else d.called_at end,
            settled_at = case when :calls = 0 then clock_timestamp() end,
            reason = case when :calls = 0 then 'everyoneLeftOut' end,
            lease_until = case when :calls = 1 then ${lease} end,
            left_out_count = d.left_out_count + :leftOut
       from waves w, campaign_runs r
      where ${isOurs} and d.state = 'claimed' and ${mayLeave}
     returning d.run_id, d.n, d.attempt, d.tenant_id
   ), noted as (
     ${noted} where :calls = 1
   )
   select attempt from passed`,
);

const passingBlock = prepareOnce(
  'passBlock',
  `with passed as (
     update dispatches d
        set state = case when :calls = 1 then 'calling' else d.state end,
            attempt = d.attempt + case when d.state = 'claimed' then :calls else 0 end,
            called_at = case when :calls = 1 then clock_timestamp() else d.called_at end,
            intent_upto = case when :calls = 1 then cast(:upto as int) else d.intent_upto end,
            settled_upto = case when :calls = 1
              then cast(:settledUpto as int) else cast(:upto as int) end,
            lease_until = ${lease}, left_out_count = d.left_out_count + :leftOut
       from waves w, campaign_runs r
      where ${isOurs} and (d.state = 'claimed' or (${isNextBlock})) and ${takesCalls}
        and ${mayLeave}
     returning d.run_id, d.n, d.attempt, d.tenant_id
   ), noted as (
     ${noted} where :calls = 1 on conflict do nothing
   )
   select attempt from passed`,
);

/**
 * Looks, by their keys, at where a locked dispatch would go now: the sum of the addresses' hashes, which
 * is that of `loaded` unless one has changed since, and whether the run has a cap.
 */
export function lookAtRecipients(call: GateCall): PreparedStatement {
  const looking = prepareAt(
    `look:${call.channel}`,
    () => `with own as materialized (${ownIds})
     select coalesce(sum(hashtext(${reachOf[call.channel].address})), 0) as addresses,
            (select ${hasCap} from campaign_runs r where r.id = :runId) as "hasCap"
       from customers c
      where c.tenant_id = :tenantId and c.id = any(cast((select ids from own) as uuid[]))`,
  );
  return looking(keysOf(keysOfCall(call)));
}

const ownIds = `select coalesce(array_agg(m.customer_id), '{}') as ids from messages m
  where ${ofDispatch}`;

/**
 * SQL: `looked`, one row. The suppressed are asked for as one list, which the index sorts and walks
 * along; one by one they cost twice as much as all the rest.
 */
function looked(call: GateCall): string {
  const { address, consent, suppressionKey } = reachOf[call.channel];
  return `own as materialized (${ownIds}), met as materialized (
       select ${address} as address, ${consent} as consent, ${suppressionKey} as suppression_key
         from customers c
        where c.tenant_id = :tenantId and ${inZone(call)}
          and c.id = any(cast((select ids from own) as uuid[]))
     ), suppressed as (
       select exists (
         select 1 from suppressions s
          where s.tenant_id = :tenantId and s.channel = :channel
            and s.address = any(cast((select array_agg(suppression_key) from met) as text[]))
         ) as are_some
     ), looked as materialized (
       select (select cardinality(ids) from own) = count(*) filter (where address is not null
                and consent <> 'withdrawn')
                and not (select are_some from suppressed) as are_all_reachable,
              coalesce(sum(hashtext(address)), 0) as addresses
         from met
     )`;
}

const prepared = new Map<string, ReturnType<typeof prepareOnce>>();

function prepareAt(name: string, sql: () => string): ReturnType<typeof prepareOnce> {
  const known = prepared.get(name) ?? prepareOnce(name, sql());
  prepared.set(name, known);
  return known;
}

/** The bindings of the messages that a call is for. */
export function keysOfCall({ tenantId, runId, dispatch, block }: GateCall) {
  return { tenantId, runId, dispatch: block === undefined ? dispatch : { ...dispatch, ...block } };
}
