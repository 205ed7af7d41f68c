import type { Knex } from 'knex';
import { marketingSuppressions } from '../../domain/messages/transactional/content';
import { keysFirst } from '../customers/reach';
import { inOneTrip } from './trips';
import { lockDispatches, type ClaimedMessage, type MessageKey } from './claims';

/** A message whose call may leave now, with this attempt and to this address. */
export interface PassedMessage extends MessageKey {
  attempt: number;
  address: string;
  firstName: string | null;
  lastName: string | null;
}

/** A claimed message, and when the windows end in which it was counted. */
export type AtTheGate = Pick<ClaimedMessage, 'runId' | 'n' | 'claimN'> & {
  leaveBefore: Date | null;
};

// What stops a message that somebody asked for: everything but what is about marketing alone.
const isStopped = Object.entries(marketingSuppressions)
  .map(([channel, reasons]) =>
    reasons.length === 0
      ? `r.channel = '${channel}'`
      : `(r.channel = '${channel}' and s.reason not in (${reasons.map((reason) => `'${reason}'`).join(', ')}))`,
  )
  .join(' or ');

const address = `coalesce(t.address, case r.channel when 'email' then c.email else c.phone end)`;
const suppressionKey = `case r.channel when 'email' then lower(${address}) else ${address} end`;

/**
 * The gate of messages that were asked for one by one, right before their calls: whoever was erased,
 * has no address or must not be written to is left out, the rest turns from `claimed` to `calling` if
 * claim, lease, run and window still hold by the database's clock. Answers whose call may leave; what
 * did not pass and was not left out has been lost to somebody else.
 */
export async function passGate(
  db: Knex,
  messages: readonly AtTheGate[],
  leaseMs: number,
): Promise<PassedMessage[]> {
  const pass = db
    .raw(
      `with looked as materialized (
         select r.run_id, r.n, r.address, r.first_name, r.last_name,
                case when r.is_erased then 'erased'
                     when r.address is null then 'noAddress'
                     when s.address is not null then 'suppressed' end as reason
           from (
         select d.run_id, d.n, d.tenant_id, r.channel, ${address} as address,
                ${suppressionKey} as suppression_key, c.first_name, c.last_name,
                t.n is null or (t.customer_id is not null and c.id is null) as is_erased
           from unnest(cast(:runIds as uuid[]), cast(:ns as int[]), cast(:claimNs as int[]),
                       cast(:leaveBefore as timestamptz[])) as w (run_id, n, claim_n, leave_before)
           join dispatches d on d.run_id = w.run_id and d.n = w.n and d.claim_n = w.claim_n
            and d.state = 'claimed' and d.lease_until > clock_timestamp()
           join campaign_runs r on r.id = d.run_id and r.gate = 'open'
            and r.plan_version = d.plan_version
           join waves v on v.run_id = d.run_id and v.plan_version = d.plan_version
            and v.n = d.wave_n
            and clock_timestamp() >= v.starts_at and clock_timestamp() < v.closes_at
           left join transactional_contents t on t.run_id = d.run_id and t.n = d.n
           left join customers c on c.tenant_id = d.tenant_id and c.id = t.customer_id
          where w.leave_before is null or clock_timestamp() < w.leave_before ${keysFirst}) r
           left join suppressions s on s.tenant_id = r.tenant_id and s.channel = r.channel
            and s.address = r.suppression_key and (${isStopped})
       ), left_out as (
         update messages m set outcome = 'left_out', reason = l.reason
           from looked l
          where m.run_id = l.run_id and m.n = l.n and l.reason is not null
       ), forgotten as (
         delete from transactional_contents t using looked l
          where t.run_id = l.run_id and t.n = l.n and l.reason is not null
       ), passed as (
         update dispatches d
            set state = case when l.reason is null then 'calling' else 'cancelled' end,
                attempt = d.attempt + (l.reason is null)::int,
                called_at = case when l.reason is null then clock_timestamp() else d.called_at end,
                settled_at = case when l.reason is not null then clock_timestamp() end,
                reason = case when l.reason is not null then 'everyoneLeftOut' end,
                lease_until = case when l.reason is null
                  then clock_timestamp() + :leaseMs * interval '1 millisecond' end,
                left_out_count = (l.reason is not null)::int
           from looked l
          where d.run_id = l.run_id and d.n = l.n
         returning d.tenant_id, d.run_id, d.n, d.attempt, l.reason, l.address, l.first_name,
           l.last_name
       ), noted as (
         insert into dispatch_attempts (run_id, dispatch_n, attempt, tenant_id, called_at)
         select run_id, n, attempt, tenant_id, clock_timestamp() from passed where reason is null
       )
       select tenant_id as "tenantId", run_id as "runId", n, attempt, address,
              first_name as "firstName", last_name as "lastName"
         from passed where reason is null`,
      {
        runIds: messages.map(({ runId }) => runId),
        ns: messages.map(({ n }) => n),
        claimNs: messages.map(({ claimN }) => claimN),
        leaveBefore: messages.map(({ leaveBefore }) => leaveBefore),
        leaseMs,
      },
    )
    .options({ name: 'passTransactional' });
  // Locked in a statement of its own, so that the gate sees the runs as they are after any waiting.
  const [, passed] = await inOneTrip(db, [{ raw: lockDispatches(db, messages) }, { raw: pass }]);
  return passed ?? [];
}
