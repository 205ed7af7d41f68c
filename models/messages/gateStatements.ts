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

export interface Passing {
  leftOut: number;
  isEmpty: boolean;
  /** Without it no call of a run with a cap passes. */
  areCapsKept: boolean;
}

export function passing(
  call: GateCall,
  { leftOut, isEmpty, areCapsKept }: Passing,
): PreparedStatement {
  const { tenantId, runId, dispatch, leaseMs, leaveBefore, loaded, block } = call;
  const values = {
    runId,
    n: dispatch.n,
    tenantId,
    claimN: dispatch.claimN,
    leaseMs,
    leaveBefore,
    calls: isEmpty ? 0 : 1,
    leftOut,
    areSomeLeftOut: leftOut > 0,
    areCapsKept,
    addresses: String(loaded.addresses),
  };
  return block === undefined
    ? passingWhole({ ...values, state: isEmpty ? 'cancelled' : 'calling' })
    : passingBlock({
        ...values,
        attempt: block.attempt,
        accountId: block.accountId,
        settledUpto: block.firstMessageN - 1,
        upto: block.lastMessageN,
      });
}

// What has to hold of the run, the wave and the recipients for bytes to leave, in either gate.
const mayLeave = `r.id = d.run_id and r.gate = 'open' and r.plan_version = d.plan_version
  and w.run_id = d.run_id and w.plan_version = d.plan_version and w.n = d.wave_n
  and clock_timestamp() >= w.starts_at and clock_timestamp() < w.closes_at
  and (cast(:leaveBefore as timestamptz) is null or clock_timestamp() < :leaveBefore)
  and current_setting('carillon.addresses') = :addresses
  and (current_setting('carillon.reachable') = 'true' or :areSomeLeftOut)
  and (:areCapsKept or not ${hasCap})`;

/**
 * The gate itself. It asks what `lookAtRecipients` saw in the same transaction: what was rendered for
 * addresses that are not theirs any more is loaded again, and nobody is written to whom nobody left
 * out.
 */
const passingWhole = prepareOnce(
  'passGate',
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
);

/**
 * The gate of a block: everything above `intent_upto` has not left, and what is between
 * `settled_upto` and it may have. Nothing leaves while the vendor has asked the account to wait.
 */
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
);

/**
 * Locks the dispatch and looks at whom it would reach now, which the transaction remembers for the
 * gate. The lock comes in a statement of its own, so that the gate itself sees the run as it is after
 * any waiting. Counting in one walk through the customers' index takes a tenth of the time of finding
 * a reason for each, and nearly always suffices; whoever has moved to another zone is missed by it
 * and found by the key. The suppressed are asked for as one list, which the index sorts and walks
 * along; one by one they cost twice as much as all the rest.
 */
export function lookAtRecipients(call: GateCall, where: LookWhere): PreparedStatement {
  const zone = call.dispatch.timeZone === '' ? 'none' : 'zone';
  const name = `look:${call.channel}:${where}:${zone}`;
  const looking = looks.get(name) ?? prepareOnce(name, lookSql(call, where));
  looks.set(name, looking);
  return looking({ ...keysOf(keysOfCall(call)), channel: call.channel });
}

type LookWhere = 'inZone' | 'byKey';

const looks = new Map<string, ReturnType<typeof prepareOnce>>();

function lookSql(call: GateCall, where: LookWhere): string {
  const { address, consent, suppressionKey } = reachOf[call.channel];
  return `with locked as materialized (
       select d.n from dispatches d
        where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId for update
     ), own as materialized (
       select coalesce(array_agg(m.customer_id), '{}') as ids
         from messages m where ${ofDispatch} and exists (select 1 from locked)
     ), met as materialized (
       select ${address} as address, ${consent} as consent, ${suppressionKey} as suppression_key
         from customers c
        where c.tenant_id = :tenantId ${where === 'inZone' ? `and ${inZone(call)}` : ''}
          and c.id = any(cast((select ids from own) as uuid[]))
     ), suppressed as (
       select exists (
         select 1 from suppressions s
          where s.tenant_id = :tenantId and s.channel = :channel
            and s.address = any(cast((select array_agg(suppression_key) from met) as text[]))
         ) as are_some
     ), looked as (
       select (select cardinality(ids) from own) = count(*) filter (where address is not null
                and consent <> 'withdrawn') and not (select are_some from suppressed) as reachable,
              coalesce(sum(hashtext(address)), 0) as addresses
         from met
     )
     select reachable as "isEveryoneReachable",
            (select ${hasCap} from campaign_runs r where r.id = :runId) as "hasCap",
            set_config('carillon.reachable', cast(reachable as text), true),
            set_config('carillon.addresses', cast(addresses as text), true)
       from looked`;
}

/** The bindings of the messages that a call is for. */
export function keysOfCall({ tenantId, runId, dispatch, block }: GateCall) {
  return { tenantId, runId, dispatch: block === undefined ? dispatch : { ...dispatch, ...block } };
}
