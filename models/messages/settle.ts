import type { Knex } from 'knex';
import { forTenantInOneTrip } from '../base';
import { releaseContactsOf } from './contacts';

/** One call of one dispatch. */
export interface Call {
  tenantId: string;
  runId: string;
  dispatchN: number;
  attempt: number;
}

/**
 * What the provider's reply makes of a dispatch. Only the reply of its newest attempt moves it, from
 * `calling` or, when it comes after the lease, from `in_doubt`; every reply is kept with its attempt.
 * That a call was accepted counts whenever it comes, whatever was made of the doubt meanwhile.
 */
export type Settlement =
  | { outcome: 'accepted'; providerMessageId: string | null; status: number | null }
  /** For good: the whole dispatch. */
  | { outcome: 'refused'; status: number | null; reason: string }
  /** Not taken now: planned again, not before the delay. */
  | { outcome: 'throttled' | 'not_sent'; status: number | null; reason: string; delayMs: number }
  | { outcome: 'in_doubt'; status: number | null; reason: string };

/** Settles one call. Answers whether the dispatch itself moved. Settling twice changes nothing. */
export async function settleCall(
  trx: Knex.Transaction,
  call: Call,
  settlement: Settlement,
): Promise<boolean> {
  const settled = await settleStatement(trx, call, settlement);
  const hasMoved = settled.rows.length > 0;
  if (hasMoved && settlement.outcome !== 'accepted' && settlement.outcome !== 'in_doubt') {
    await releaseContactsOf(trx, call, [call.dispatchN]);
  }
  return hasMoved;
}

/** Settles an accepted call, nearly the only outcome there is, in one trip to the database. */
export async function settleAccepted(
  db: Knex,
  call: Call,
  accepted: { providerMessageId: string | null; status: number | null },
): Promise<void> {
  const raw = settleStatement(db, call, { ...accepted, outcome: 'accepted' });
  await forTenantInOneTrip(db, call.tenantId, [{ raw }]);
}

function settleStatement(trx: Pick<Knex, 'raw'>, call: Call, settlement: Settlement): Knex.Raw {
  return trx
    .raw(
      `with noted as (
       update dispatch_attempts
          set settled_at = clock_timestamp(), outcome = :outcome, status = :status,
              reason = :reason, proven_by = 'reply',
              provider_message_id = coalesce(:providerMessageId, provider_message_id)
        where run_id = :runId and dispatch_n = :dispatchN and attempt = :attempt
          and (outcome is null or outcome = 'in_doubt'
            or (:outcome = 'accepted' and outcome <> 'accepted'))
     ), proven as (
       -- An earlier attempt is known to have been accepted: these people have their message.
       select exists (select 1 from dispatch_attempts a
                       where a.run_id = :runId and a.dispatch_n = :dispatchN
                         and a.attempt < :attempt and a.outcome = 'accepted') as earlier
     ), next as (
       select case when :newState = 'accepted' or (select earlier from proven) then 'accepted'
                   when :newState = 'planned' and r.gate = 'closed' then 'cancelled'
                   else :newState end as state
         from campaign_runs r where r.id = :runId
     )
     update dispatches d
        set state = next.state,
            settled_at = case when next.state in ('accepted', 'refused', 'cancelled')
              then clock_timestamp() end,
            reason = case when next.state <> 'accepted' then :reason end,
            provider_message_id = coalesce(:providerMessageId, d.provider_message_id),
            not_before = case when next.state = 'planned'
              then clock_timestamp() + :delayMs * interval '1 millisecond' end,
            wait_reason = case when next.state = 'planned' then :outcome end,
            doubt_until = case when next.state = 'in_doubt'
              then clock_timestamp() + r.doubt_deadline_ms * interval '1 millisecond' end,
            lease_until = null
       from campaign_runs r, next
      where r.id = d.run_id and d.tenant_id = :tenantId and d.run_id = :runId
        and d.n = :dispatchN and d.attempt = :attempt
        and (d.state = 'calling' or (d.state = 'in_doubt' and :newState <> 'in_doubt')
          -- Others have given the call up, and it was accepted after all.
          or (:newState = 'accepted' and d.reason is distinct from 'everyoneLeftOut'
            and d.state in ('unconfirmed', 'planned', 'claimed', 'cancelled', 'expired')))
     returning d.n`,
      {
        ...call,
        outcome: settlement.outcome,
        newState: stateAfter[settlement.outcome],
        status: settlement.status,
        reason: 'reason' in settlement ? settlement.reason : null,
        providerMessageId: 'providerMessageId' in settlement ? settlement.providerMessageId : null,
        delayMs: 'delayMs' in settlement ? settlement.delayMs : 0,
      },
    )
    .options({ name: 'settleCall' });
}

const stateAfter: Record<Settlement['outcome'], string> = {
  accepted: 'accepted',
  refused: 'refused',
  throttled: 'planned',
  not_sent: 'planned',
  in_doubt: 'in_doubt',
};

/**
 * The provider refused the call because of these recipients: they are set aside as refused and the
 * rest is planned again, in one transaction.
 */
export async function setAsideRecipients(
  trx: Knex.Transaction,
  call: Call,
  refusal: { messageNs: number[]; status: number; reason: string },
): Promise<void> {
  const moved = await settleCall(trx, call, {
    outcome: 'not_sent',
    status: refusal.status,
    reason: refusal.reason,
    delayMs: 0,
  });
  if (!moved) {
    return;
  }
  await trx.raw(
    `with refused as (
       update messages set outcome = 'refused', reason = :reason
        where run_id = :runId and tenant_id = :tenantId and dispatch_n = :dispatchN
          and n = any(cast(:messageNs as int[])) and outcome is null
       returning 1
     )
     update dispatches set refused_count = refused_count + (select count(*) from refused)
      where run_id = :runId and n = :dispatchN and tenant_id = :tenantId`,
    { ...call, messageNs: refusal.messageNs, reason: refusal.reason },
  );
}

export type SplitAnswer = 'split' | 'refused' | 'ofTheWholeMessage' | 'moved';

/**
 * A definite refusal nobody explained: the dispatch is split in two, one message alone is refused.
 * When the other half of an earlier split was refused alike, it is the message itself that is
 * wrong: then the dispatch is planned again and the caller holds the run.
 */
export async function splitDispatch(
  trx: Knex.Transaction,
  call: Call,
  refusal: { status: number; reason: string },
): Promise<SplitAnswer> {
  const locked = await trx.raw(
    `select d.wave_n as "waveN", d.plan_version as "planVersion", d.time_zone as "timeZone",
            d.first_message_n as first, d.last_message_n as last, d.message_count as count,
            d.parent_n as "parentN",
            exists (select 1 from dispatches o
                     where o.run_id = d.run_id and o.parent_n = d.parent_n and o.n <> d.n
                       and o.message_count > 1 and o.state = 'split'
                       and o.reason = :reason) as "otherHalfAlike"
       from dispatches d
      where d.tenant_id = :tenantId and d.run_id = :runId and d.n = :dispatchN
        and d.attempt = :attempt and d.state in ('calling', 'in_doubt') for update`,
    { ...call, reason: refusal.reason },
  );
  const dispatch: SplitRow | undefined = locked.rows[0];
  if (dispatch === undefined) {
    return 'moved';
  }
  if (dispatch.count === 1) {
    await settleCall(trx, call, { outcome: 'refused', ...refusal });
    return 'refused';
  }
  if (dispatch.otherHalfAlike) {
    await settleCall(trx, call, { outcome: 'not_sent', ...refusal, delayMs: 0 });
    return 'ofTheWholeMessage';
  }
  await settleCall(trx, call, { outcome: 'refused', ...refusal });
  const middle = Math.floor((dispatch.first + dispatch.last) / 2);
  await trx.raw(
    `with numbers as (
       update campaign_runs set next_dispatch_n = next_dispatch_n + 2
        where id = :runId and tenant_id = :tenantId
       returning next_dispatch_n - 2 as n
     ), halves as (
       select 0 as half, cast(:first as int) as first, cast(:middle as int) as last
       union all select 1, :middle + 1, :last
     ), counted as (
       select h.half, h.first, h.last, count(m.n) as messages,
              count(m.n) filter (where m.outcome = 'left_out') as left_out,
              count(m.n) filter (where m.outcome = 'refused') as refused
         from halves h
         left join messages m on m.run_id = :runId and m.n between h.first and h.last
          and m.dispatch_n = :dispatchN
        group by 1, 2, 3
     ), children as (
       insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n,
         first_message_n, last_message_n, message_count, parent_n, left_out_count, refused_count)
       select :runId, numbers.n + c.half, :tenantId, :timeZone, :planVersion, :waveN,
              c.first, c.last, c.messages, :dispatchN, c.left_out, c.refused
         from counted c, numbers
       returning n, first_message_n, last_message_n
     ), moved as (
       update messages m set dispatch_n = children.n
         from children
        where m.run_id = :runId and m.dispatch_n = :dispatchN
          and m.n between children.first_message_n and children.last_message_n
     )
     update dispatches set state = 'split'
      where run_id = :runId and n = :dispatchN and tenant_id = :tenantId`,
    {
      ...call,
      timeZone: dispatch.timeZone,
      planVersion: dispatch.planVersion,
      waveN: dispatch.waveN,
      first: dispatch.first,
      middle,
      last: dispatch.last,
    },
  );
  return 'split';
}

interface SplitRow {
  waveN: number;
  planVersion: number;
  timeZone: string;
  first: number;
  last: number;
  count: number;
  parentN: number | null;
  otherHalfAlike: boolean;
}
