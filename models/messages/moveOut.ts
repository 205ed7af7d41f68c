import type { Knex } from 'knex';
import type { Call } from './settle';

/** A message whose call may have been accepted. */
export interface DoubtfulMessage {
  n: number;
  status: number | null;
  reason: string;
}

/** How long what was not taken waits, and for what, as operators read it. */
export interface Wait {
  delayMs: number;
  reason: string;
}

/** A message that was surely not taken; null goes again as soon as may be. */
export interface UntakenMessage {
  n: number;
  wait: Wait | null;
}

/**
 * Moves messages of a locked dispatch to dispatches of their own in the same wave: each doubtful one
 * to one in doubt, with its attempt, unless an event has proven it already; those that were not
 * taken to a planned one for each wait, and all above `notSentAbove` to another. Answers how many are
 * in doubt.
 */
export async function moveOut(
  trx: Knex.Transaction,
  { tenantId, runId, dispatchN, attempt }: Call,
  move: {
    doubtful: readonly DoubtfulMessage[];
    notSent: readonly UntakenMessage[];
    notSentAbove: number | null;
    /** What those above wait for. */
    wait: Wait | null;
  },
): Promise<{ doubted: number }> {
  const { doubtful, notSent, notSentAbove, wait } = move;
  if (doubtful.length + notSent.length === 0 && notSentAbove === null) {
    return { doubted: 0 };
  }
  const groups = groupsOf(notSent);
  const moved = await trx.raw(
    `with parent as (
       select time_zone, plan_version, wave_n, called_at, first_message_n, last_message_n
         from dispatches
        where run_id = :runId and n = :dispatchN and tenant_id = :tenantId
     ), doubtful as (
       select * from unnest(cast(:doubtNs as int[]), cast(:statuses as int[]),
         cast(:reasons as text[])) as t (n, status, reason)
     ), untaken as (
       select * from unnest(cast(:untakenNs as int[]), cast(:untakenParts as int[])) as t (n, part)
     ), waits as (
       select * from unnest(cast(:parts as int[]), cast(:delaysMs as float8[]),
         cast(:waitReasons as text[])) as t (part, delay_ms, reason)
     ), moving as (
       -- A doubt is its own part, by its number; 0 and below are those that go together.
       select m.n, coalesce(doubtful.n, untaken.part, 0) as own, doubtful.status, doubtful.reason
         from messages m left join doubtful on doubtful.n = m.n left join untaken on untaken.n = m.n
        where m.run_id = :runId and m.tenant_id = :tenantId and m.dispatch_n = :dispatchN
          and m.n between (select first_message_n from parent) and (select last_message_n from parent)
          and m.outcome is null
          and (doubtful.n is not null or untaken.n is not null or m.n > :notSentAbove)
          and not (doubtful.n is not null and exists (
            select 1 from message_events e
             where e.run_id = m.run_id and e.message_n = m.n and e.source <> 'carillon'
               and e.dispatch_n = :dispatchN and e.attempt = :attempt))
     ), parts as (
       select own, min(n) as first, max(n) as last, count(*) as messages, min(status) as status,
              min(reason) as reason, row_number() over (order by own) - 1 as position
         from moving group by own
     ), numbers as (
       update campaign_runs
          set next_dispatch_n = next_dispatch_n + (select count(*) from parts)
        where id = :runId and tenant_id = :tenantId and exists (select 1 from parts)
       returning next_dispatch_n - (select count(*) from parts) as first, gate, doubt_deadline_ms
     ), children as (
       insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n, parent_n,
         first_message_n, last_message_n, message_count, state, attempt, called_at, doubt_until,
         reason, not_before, wait_reason, settled_at, intent_upto, settled_upto)
       select :runId, numbers.first + p.position, :tenantId, parent.time_zone, parent.plan_version,
              parent.wave_n, :dispatchN, p.first, p.last, p.messages, s.state,
              -- Numbers go on along a message's line, so that no late reply fits another call.
              cast(:attempt as int),
              case when own > 0 then parent.called_at end,
              case when own > 0
                then clock_timestamp() + numbers.doubt_deadline_ms * interval '1 millisecond' end,
              p.reason,
              case when s.state = 'planned' then clock_timestamp()
                + waits.delay_ms * interval '1 millisecond' end,
              case when s.state = 'planned' then waits.reason end,
              case when s.state = 'cancelled' then clock_timestamp() end,
              case when own > 0 then p.last end, case when own > 0 then p.first - 1 end
         from parts p left join waits on waits.part = p.own, parent, numbers, lateral (
           select case when own > 0 then 'in_doubt'
                       when numbers.gate = 'closed' then 'cancelled' else 'planned' end as state) s
       returning n, first_message_n, state, called_at
     ), attempts as (
       insert into dispatch_attempts (run_id, dispatch_n, attempt, tenant_id, called_at, settled_at,
         outcome, status, reason)
       select :runId, children.n, :attempt, :tenantId, coalesce(children.called_at, clock_timestamp()),
              clock_timestamp(), 'in_doubt', p.status, p.reason
         from children join parts p on p.first = children.first_message_n
        where children.state = 'in_doubt'
     ), moved as (
       update messages m set dispatch_n = children.n
         from moving join parts p on p.own = moving.own
         join children on children.first_message_n = p.first
        where m.run_id = :runId and m.tenant_id = :tenantId and m.n = moving.n
     )
     update dispatches d set message_count = d.message_count - (select count(*) from moving)
      where d.run_id = :runId and d.n = :dispatchN and d.tenant_id = :tenantId
     returning (select count(*) from parts where own > 0) as doubted`,
    {
      tenantId,
      runId,
      dispatchN,
      attempt,
      doubtNs: doubtful.map(({ n }) => n),
      statuses: doubtful.map(({ status }) => status),
      reasons: doubtful.map(({ reason }) => reason),
      untakenNs: notSent.map(({ n }) => n),
      untakenParts: notSent.map((message) => groups.partOf(message)),
      notSentAbove,
      parts: [0, ...groups.waits.map((_, index) => -index - 1)],
      delaysMs: [wait, ...groups.waits].map((one) => one?.delayMs ?? null),
      waitReasons: [wait, ...groups.waits].map((one) => one?.reason ?? null),
    },
  );
  return { doubted: moved.rows[0]?.doubted ?? 0 };
}

/** Messages that wait about as long for the same thing go together: -1, -2 and on. */
function groupsOf(notSent: readonly UntakenMessage[]) {
  const keys = new Map<string, number>();
  const waits: (Wait | null)[] = [];
  const keyOf = ({ wait }: UntakenMessage) =>
    wait === null ? '' : `${Math.ceil(Math.log2(Math.max(wait.delayMs, 1)))} ${wait.reason}`;
  for (const message of notSent) {
    const key = keyOf(message);
    const known = keys.get(key);
    if (known === undefined) {
      keys.set(key, waits.push(message.wait) - 1);
    } else if ((message.wait?.delayMs ?? 0) > (waits[known]?.delayMs ?? 0)) {
      waits[known] = message.wait;
    }
  }
  return {
    waits,
    partOf: (message: UntakenMessage) => -(keys.get(keyOf(message)) ?? 0) - 1,
  };
}
