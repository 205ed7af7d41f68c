import type { Knex } from 'knex';
import { inOneTrip } from './trips';
import { lockDispatches, type MessageKey } from './claims';

/** What became of one call. */
export interface SettledCall extends MessageKey {
  attempt: number;
  outcome: 'accepted' | 'refused' | 'throttled' | 'not_sent' | 'in_doubt';
  status: number | null;
  reason: string | null;
  providerMessageId: string | null;
  /** When to try again what was not taken now. */
  delayMs: number;
  /** The address nothing may be sent to any more. */
  suppress: { address: string; reason: 'invalid' | 'unsubscribed' } | null;
}

/**
 * Writes what providers' replies make of calls, many at once, and forgets what messages said that have
 * ended by it. Only the reply of a dispatch's newest attempt moves it, from `calling` or, when it comes
 * after the lease, from `in_doubt`. Settling twice changes nothing.
 */
export async function settleCalls(db: Knex, calls: readonly SettledCall[]): Promise<void> {
  const of = <T>(pick: (call: SettledCall) => T) => calls.map(pick);
  const settle = db
    .raw(
      `with told as materialized (
         select t.*, r.tenant_id, r.channel, r.gate, r.doubt_deadline_ms
           from unnest(cast(:runIds as uuid[]), cast(:ns as int[]), cast(:attempts as int[]),
                       cast(:outcomes as text[]), cast(:statuses as int[]),
                       cast(:reasons as text[]), cast(:providerMessageIds as text[]),
                       cast(:delaysMs as float8[]), cast(:addresses as text[]),
                       cast(:suppressions as text[]))
                  as t (run_id, n, attempt, outcome, status, reason, provider_message_id, delay_ms,
                        address, suppression)
           join campaign_runs r on r.id = t.run_id
       ), noted as (
         update dispatch_attempts a
            set settled_at = clock_timestamp(), outcome = t.outcome, status = t.status,
                reason = t.reason, proven_by = 'reply',
                provider_message_id = coalesce(t.provider_message_id, a.provider_message_id)
           from told t
          where a.run_id = t.run_id and a.dispatch_n = t.n and a.attempt = t.attempt
            and (a.outcome is null or a.outcome = 'in_doubt')
       ), next as (
         -- An earlier attempt may be known to have been accepted: then the message has arrived.
         select t.*, case
                  when t.outcome = 'accepted' or exists (
                    select 1 from dispatch_attempts a
                     where a.run_id = t.run_id and a.dispatch_n = t.n and a.attempt < t.attempt
                       and a.outcome = 'accepted') then 'accepted'
                  when t.outcome in ('throttled', 'not_sent') and t.gate = 'closed' then 'cancelled'
                  when t.outcome in ('throttled', 'not_sent') then 'planned'
                  else t.outcome end as state
           from told t
       ), moved as (
         update dispatches d
            set state = next.state,
                settled_at = case when next.state in ('accepted', 'refused', 'cancelled')
                  then clock_timestamp() end,
                reason = case when next.state <> 'accepted' then next.reason end,
                provider_message_id = coalesce(next.provider_message_id, d.provider_message_id),
                not_before = case when next.state = 'planned'
                  then clock_timestamp() + next.delay_ms * interval '1 millisecond' end,
                wait_reason = case when next.state = 'planned' then next.reason end,
                doubt_until = case when next.state = 'in_doubt'
                  then clock_timestamp() + next.doubt_deadline_ms * interval '1 millisecond' end,
                lease_until = null
           from next
          where d.run_id = next.run_id and d.n = next.n and d.attempt = next.attempt
            and (d.state = 'calling' or (d.state = 'in_doubt' and next.state <> 'in_doubt'))
         returning d.run_id, d.n, d.state
       ), suppressed as (
         insert into suppressions (tenant_id, channel, address, reason, run_id)
         select distinct on (tenant_id, channel, address)
                tenant_id, channel, case channel when 'email' then lower(address) else address end,
                suppression, run_id
           from told where suppression is not null
          order by tenant_id, channel, address
         on conflict (tenant_id, channel, address) do nothing
       )
       delete from transactional_contents c using moved m
        where c.run_id = m.run_id and c.n = m.n
          and m.state in ('accepted', 'refused', 'cancelled')`,
      {
        runIds: of(({ runId }) => runId),
        ns: of(({ n }) => n),
        attempts: of(({ attempt }) => attempt),
        outcomes: of(({ outcome }) => outcome),
        statuses: of(({ status }) => status),
        reasons: of(({ reason }) => reason),
        providerMessageIds: of(({ providerMessageId }) => providerMessageId),
        delaysMs: of(({ delayMs }) => delayMs),
        addresses: of(({ suppress }) => suppress?.address ?? null),
        suppressions: of(({ suppress }) => suppress?.reason ?? null),
      },
    )
    .options({ name: 'settleTransactional' });
  await inOneTrip(db, [{ raw: lockDispatches(db, calls) }, { raw: settle }]);
}
