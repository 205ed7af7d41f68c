import type { Knex } from 'knex';
import { longestCapDays } from '../../domain/campaigns/rules/types';
import type { Channel } from '../../domain/campaigns/types';

/** The call at a gate: of the messages of a dispatch, those in the range that have no own outcome. */
export interface ContactCall {
  tenantId: string;
  runId: string;
  channel: Channel;
  dispatch: { n: number; firstMessageN: number; lastMessageN: number };
}

/** Of a run `r`: it caps how often a customer is written to. Only such runs read or write contacts. */
export const hasCap = `coalesce(jsonb_typeof(r.schedule->'frequencyCap') = 'object', false)`;

/** Messages that the cap keeps from leaving now. */
export interface CappedMessages {
  /** They may leave from `until` on, which may be when their wave has closed. */
  later: { n: number; until: Date; isInWave: boolean }[];
  /** Their customers may not be written to before it is too late for this run. */
  never: number[];
}

/**
 * Who of the call has had so many messages that the run's cap keeps this one back. The customer's
 * other messages count, not this one's own earlier calls, which its policy of doubt is there for.
 * Takes the tenant's turn on the channel until the transaction ends, so that of two calls for one
 * customer the later one sees the earlier; so it comes in a statement of its own, after the lock of
 * the dispatch.
 */
export async function lookAtCaps(
  trx: Knex.Transaction,
  call: ContactCall,
): Promise<CappedMessages> {
  await trx.raw(
    // A table that grew since it was last analysed seems so small that Postgres would read all of it
    // for each customer.
    `select pg_advisory_xact_lock(hashtextextended('contacts ' || :tenantId || ' ' || :channel, 0)),
            set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`,
    { tenantId: call.tenantId, channel: call.channel },
  );
  const found = await trx.raw(
    `with cap as materialized (
       select (r.schedule->'frequencyCap'->>'messages')::int as messages,
              (r.schedule->'frequencyCap'->>'days')::int * interval '24 hours' as lasts,
              coalesce(r.schedule->'frequencyCap'->>'whenCapped', 'later') = 'later'
                and not (r.schedule->>'kind' = 'localHour' and r.schedule->>'hourPast' = 'skip')
                as "mayBeLate",
              w.closes_at
         from dispatches d
         join campaign_runs r on r.id = d.run_id and ${hasCap}
         join waves w on w.run_id = d.run_id and w.plan_version = d.plan_version and w.n = d.wave_n
        where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId
     ), had as (
       -- Customer by customer: nothing may turn this round and go through all contacts.
       select m.n, past.until
         from cap, messages m cross join lateral (
           select (array_agg(c.at order by c.at desc))[cap.messages] + cap.lasts as until
             from customer_contacts c
            where c.tenant_id = :tenantId and c.channel = :channel
              and c.customer_id = m.customer_id and c.at > clock_timestamp() - cap.lasts
              and (c.run_id, c.message_n) <> (m.run_id, m.n)
           having count(*) >= cap.messages) past
        where ${ofCall}
     )
     -- Rounded up to what callers can tell apart.
     select had.n, date_trunc('milliseconds', had.until) + interval '1 millisecond' as until,
            had.until < cap.closes_at as "isInWave", cap."mayBeLate"
       from had, cap order by had.n`,
    keysOf(call),
  );
  const rows: CappedRow[] = found.rows;
  const isLater = (row: CappedRow) => row.isInWave || row.mayBeLate;
  return {
    later: rows.filter(isLater).map(({ n, until, isInWave }) => ({ n, until, isInWave })),
    never: rows.filter((row) => !isLater(row)).map(({ n }) => n),
  };
}

interface CappedRow {
  n: number;
  until: Date;
  isInWave: boolean;
  mayBeLate: boolean;
}

/**
 * Takes capped messages out of the call: those for which it is too late are left out, the others get
 * dispatches of their own in the same wave, which wait for the caps to end. One for each hour in which
 * caps end, so that a thousand customers make no thousand calls; of those that end before the wave
 * closes none waits for one that ends after.
 */
export async function holdBackCapped(
  trx: Knex.Transaction,
  call: ContactCall,
  capped: CappedMessages,
): Promise<void> {
  if (capped.never.length > 0) {
    await trx.raw(
      `update messages m set outcome = 'left_out', reason = 'capped'
        where ${ofCall} and m.n = any(cast(:ns as int[]))`,
      { ...keysOf(call), ns: capped.never },
    );
  }
  const parts = partsOf(capped.later);
  if (parts.length === 0) {
    return;
  }
  await trx.raw(
    `with parent as (
       update dispatches d set message_count = d.message_count - :moved
        where d.run_id = :runId and d.n = :n and d.tenant_id = :tenantId
       returning d.time_zone, d.plan_version, d.wave_n
     ), numbers as (
       update campaign_runs
          set next_dispatch_n = next_dispatch_n + cardinality(cast(:untils as timestamptz[]))
        where id = :runId and tenant_id = :tenantId
       returning next_dispatch_n - cardinality(cast(:untils as timestamptz[])) as first
     ), children as (
       insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n,
         first_message_n, last_message_n, message_count, parent_n, not_before, wait_reason)
       select :runId, numbers.first + p.part - 1, :tenantId, parent.time_zone, parent.plan_version,
              parent.wave_n, p.first, p.last, p.messages, :n, p.until, 'frequencyCap'
         from unnest(cast(:firsts as int[]), cast(:lasts as int[]), cast(:counts as int[]),
                cast(:untils as timestamptz[]))
                with ordinality as p (first, last, messages, until, part), parent, numbers
     )
     update messages m set dispatch_n = numbers.first - 1 + (cast(:partAt as int[]))[m.n - :first + 1]
       from numbers
      where ${ofCall} and (cast(:partAt as int[]))[m.n - :first + 1] > 0`,
    {
      ...keysOf(call),
      partAt: partAt(call, parts),
      moved: capped.later.length,
      firsts: parts.map((part) => Math.min(...part.map(({ n }) => n))),
      lasts: parts.map((part) => Math.max(...part.map(({ n }) => n))),
      counts: parts.map((part) => part.length),
      untils: parts.map((part) => new Date(Math.max(...part.map(({ until }) => until.getTime())))),
    },
  );
}

/** For each number of the call's range the part that its message moves to, from 1; 0 for none. */
function partAt(
  { dispatch: { firstMessageN, lastMessageN } }: ContactCall,
  parts: CappedMessages['later'][],
): number[] {
  const at = Array.from({ length: lastMessageN - firstMessageN + 1 }, () => 0);
  for (const [index, part] of parts.entries()) {
    for (const { n } of part) {
      at[n - firstMessageN] = index + 1;
    }
  }
  return at;
}

const hourMs = 3_600_000;

function partsOf(later: CappedMessages['later']): CappedMessages['later'][] {
  const parts = new Map<string, CappedMessages['later']>();
  for (const message of later) {
    const hour = Math.floor(message.until.getTime() / hourMs);
    const key = `${message.isInWave ? 'in' : 'after'} ${hour}`;
    const part = parts.get(key);
    if (part === undefined) {
      parts.set(key, [message]);
    } else {
      part.push(message);
    }
  }
  return [...parts.values()].sort(
    ([a], [b]) => (a?.until.getTime() ?? 0) - (b?.until.getTime() ?? 0),
  );
}

/**
 * Writes down that the customers of the call are written to now: after `lookAtCaps`, in the
 * transaction of the gate, once it is known that the call leaves.
 */
export async function noteContacts(trx: Knex.Transaction, call: ContactCall): Promise<void> {
  await trx.raw(
    `insert into customer_contacts as c
       (tenant_id, channel, customer_id, run_id, message_n, at)
     select m.tenant_id, m.channel, m.customer_id, m.run_id, m.n, clock_timestamp()
       from messages m
      where ${ofCall}
        and exists (select 1 from campaign_runs r where r.id = :runId and ${hasCap})
     on conflict (tenant_id, channel, customer_id, run_id, message_n) do update
        set at = excluded.at, calls = c.calls + 1`,
    keysOf(call),
  );
}

/**
 * Takes back what the gate noted of these messages, because their call was surely not taken. Once a
 * call: in the transaction of the settlement that says so, and only if that moved something. A doubt
 * stays a contact.
 */
export async function releaseContacts(
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string },
  messageNs: readonly number[],
): Promise<void> {
  const messages =
    'messages m on m.run_id = r.id and m.tenant_id = :tenantId and m.n = any(cast(:ns as int[]))';
  await release(trx, run, messages, messageNs);
}

/** The same for the messages that follow these dispatches. */
export async function releaseContactsOf(
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string },
  dispatchNs: readonly number[],
): Promise<void> {
  const messages = `dispatches d
            on d.run_id = r.id and d.tenant_id = :tenantId and d.n = any(cast(:ns as int[]))
         join messages m on m.run_id = d.run_id and m.dispatch_n = d.n and m.outcome is null
          and m.n between d.first_message_n and d.last_message_n`;
  await release(trx, run, messages, dispatchNs);
}

async function release(
  trx: Knex.Transaction,
  { tenantId, runId }: { tenantId: string; runId: string },
  messages: string,
  ns: readonly number[],
): Promise<void> {
  await trx.raw(
    `with released as materialized (
       select c.place, c.calls
         from campaign_runs r
         join ${messages}
        cross join lateral (
           select k.ctid as place, k.calls from customer_contacts k
            where k.tenant_id = m.tenant_id and k.channel = m.channel
              and k.customer_id = m.customer_id and k.run_id = m.run_id and k.message_n = m.n
            limit 1) c
        -- A run that was rescheduled may have had a cap before.
        where r.id = :runId and r.tenant_id = :tenantId and (${hasCap} or r.plan_version > 1)
     ), fewer as (
       -- Another call of the same message may have arrived.
       update customer_contacts set calls = calls - 1
        where ctid = any(array(select place from released where calls > 1))
     )
     delete from customer_contacts
      where ctid = any(array(select place from released where calls = 1))`,
    { tenantId, runId, ns },
  );
}

/** Forgets contacts that no cap asks for any more, some at a time; answers how many. */
export async function forgetContacts(trx: Knex.Transaction): Promise<number> {
  const forgotten = await trx.raw(
    `delete from customer_contacts
      where ctid = any(array(
        select ctid from customer_contacts
         where at < clock_timestamp() - :days * interval '24 hours' limit 10000))
     returning 1`,
    { days: longestCapDays + 1 },
  );
  return forgotten.rows.length;
}

const ofCall = `m.run_id = :runId and m.n between :first and :last and m.dispatch_n = :n
  and m.tenant_id = :tenantId and m.outcome is null`;

function keysOf({ tenantId, runId, channel, dispatch }: ContactCall) {
  return {
    tenantId,
    runId,
    channel,
    n: dispatch.n,
    first: dispatch.firstMessageN,
    last: dispatch.lastMessageN,
  };
}
