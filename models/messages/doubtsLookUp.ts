import type { Knex } from 'knex';
import type { LookUpRule } from '../../domain/messages/doubts/lookUps';
import type { LookUpAnswer } from '../../domain/messages/doubts/types';
import { ofAccounts } from './accountPace';

interface RunKey {
  tenantId: string;
  runId: string;
}

/** A call in doubt that its vendor is to be asked for. */
export interface CallToLookUp {
  n: number;
  attempt: number;
  calledAt: Date;
  /** How often it has been asked for, this time included. */
  times: number;
  timeZone: string;
  firstMessageN: number;
  lastMessageN: number;
  messageCount: number;
}

// Longer than a look-up may take: one whose process dies is made again after it.
const heldForMs = 120_000;

/**
 * Takes calls in doubt that are due to be looked up, those of the longest doubt first, skipping what
 * others hold. Nobody else takes them for two minutes.
 */
export async function claimLookUps(
  trx: Knex.Transaction,
  { tenantId, runId }: RunKey,
  { rule, limit }: { rule: LookUpRule; limit: number },
): Promise<CallToLookUp[]> {
  const claimed = await trx.raw(
    `with due as materialized (
       select d.n, a.attempt, d.time_zone, d.first_message_n, d.last_message_n, d.message_count
         from dispatches d
         join dispatch_attempts a on a.run_id = d.run_id and a.dispatch_n = d.n
          and a.attempt = d.attempt
        where d.tenant_id = :tenantId and d.run_id = :runId and d.state = 'in_doubt'
          and ${dueAt} <= clock_timestamp()
        order by a.called_at, d.n limit :limit for update of a skip locked
     )
     update dispatch_attempts a
        set look_ups = a.look_ups + 1,
            look_up_at = clock_timestamp() + :heldForMs * interval '1 millisecond'
       from due
      where a.run_id = :runId and a.dispatch_n = due.n and a.attempt = due.attempt
     returning due.n, due.attempt, a.called_at as "calledAt", a.look_ups as times,
       due.time_zone as "timeZone", due.first_message_n as "firstMessageN",
       due.last_message_n as "lastMessageN", due.message_count as "messageCount"`,
    { tenantId, runId, limit, heldForMs, firstAfterMs: rule.firstAfterMs },
  );
  return claimed.rows;
}

/** When the next call of a run is due to be looked up; null when none is in doubt. */
export async function nextLookUpDue(
  trx: Knex.Transaction,
  { tenantId, runId }: RunKey,
  rule: LookUpRule,
): Promise<Date | null> {
  const found = await trx.raw(
    `select min(${dueAt}) as "dueAt"
       from dispatches d
       join dispatch_attempts a on a.run_id = d.run_id and a.dispatch_n = d.n
        and a.attempt = d.attempt
      where d.tenant_id = :tenantId and d.run_id = :runId and d.state = 'in_doubt'`,
    { tenantId, runId, firstAfterMs: rule.firstAfterMs },
  );
  return found.rows[0].dueAt;
}

const dueAt = `coalesce(a.look_up_at, a.called_at + :firstAfterMs * interval '1 millisecond')`;

/** What the vendor answered for one call, and when it is asked again if that settles nothing. */
export interface LookUpNote {
  n: number;
  attempt: number;
  answer: LookUpAnswer;
  reason: string | null;
  nextAt: Date;
}

/** Writes answers down beside their calls. What they prove is settled by itself. */
export async function noteLookUps(
  trx: Knex.Transaction,
  { tenantId, runId }: RunKey,
  notes: readonly LookUpNote[],
): Promise<void> {
  await trx.raw(
    `update dispatch_attempts a
        set looked_up_at = clock_timestamp(), look_up_answer = given.answer,
            look_up_reason = given.reason, look_up_at = given.next_at
       from unnest(cast(:ns as int[]), cast(:attempts as int[]), cast(:answers as text[]),
              cast(:reasons as text[]), cast(:nextAts as timestamptz[]))
            as given (n, attempt, answer, reason, next_at)
      where a.tenant_id = :tenantId and a.run_id = :runId and a.dispatch_n = given.n
        and a.attempt = given.attempt`,
    {
      tenantId,
      runId,
      ns: notes.map(({ n }) => n),
      attempts: notes.map(({ attempt }) => attempt),
      answers: notes.map(({ answer }) => answer),
      reasons: notes.map(({ reason }) => reason),
      nextAts: notes.map(({ nextAt }) => nextAt),
    },
  );
}

/**
 * Takes the account's turn to be asked, over all runs and workers; answers when the next one is if
 * this one is taken, and null when it is the caller's.
 */
export async function takeLookUpTurn(
  db: Knex,
  accountId: string,
  spacingMs: number,
): Promise<Date | null> {
  const taken = await ofAccounts(
    db,
    db.raw(
      `insert into provider_look_ups as l (account_id, next_at)
     values (:accountId, clock_timestamp() + :spacingMs * interval '1 millisecond')
     on conflict (account_id) do update set next_at = excluded.next_at
      where l.next_at <= clock_timestamp()
     returning 1`,
      { accountId, spacingMs },
    ),
  );
  if (taken.length > 0) {
    return null;
  }
  const [others] = await ofAccounts(
    db,
    db.raw('select next_at as "nextAt" from provider_look_ups where account_id = ?', [accountId]),
  );
  return others.nextAt;
}

/** What is known here of a call of one message before its vendor is asked for it. */
export interface LookUpFacts {
  dispatchN: number;
  /** Whether customer and account are surely as they were when the call was made. */
  isUnchanged: boolean;
  /** The vendor's ids of other messages to the same number, which are not the one that is looked for. */
  knownIds: string[];
  /** Whether another message to the number, whose id nobody knows, might be found in its place. */
  hasRival: boolean;
}

// A change is dated by the beginning of its transaction, and none takes longer than this.
const longestChangeMs = 10_000;

// A vendor is asked for what it took from a minute before a call until five minutes after.
const aboutThenMs = 6 * 60_000;

/**
 * The facts of calls of one message each. Of what was restored from a backup nobody knows when it was
 * called, nor what has changed since.
 */
export async function lookUpFacts(
  trx: Knex.Transaction,
  { tenantId, runId }: RunKey,
  { accountId, dispatchNs }: { accountId: string; dispatchNs: readonly number[] },
): Promise<LookUpFacts[]> {
  const found = await trx.raw(
    `with asked as materialized (
       select d.n as dispatch_n, m.n, m.channel, c.phone, a.called_at,
              c.updated_at < latest.at and p.updated_at < latest.at
                and a.reason is distinct from 'restored' as is_unchanged
         from dispatches d
         join dispatch_attempts a on a.run_id = d.run_id and a.dispatch_n = d.n
          and a.attempt = d.attempt
         join messages m on m.run_id = d.run_id and m.dispatch_n = d.n
          and m.n between d.first_message_n and d.last_message_n
         left join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
         left join usable_accounts p on p.id = :accountId,
         lateral (
           select a.called_at - :longestChangeMs * interval '1 millisecond' as at) latest
        where d.tenant_id = :tenantId and d.run_id = :runId
          and d.n = any(cast(:dispatchNs as int[]))
     ), others as materialized (
       -- Each number's other messages, whoever of the tenant's customers has it.
       select asked.dispatch_n as asked_n, asked.called_at as asked_at, o.run_id, o.n, o.dispatch_n
         from asked
         join customers c on c.tenant_id = :tenantId and c.phone = asked.phone
         join messages o on o.tenant_id = c.tenant_id and o.customer_id = c.id
          and o.channel = asked.channel
        where (o.run_id, o.n) <> (:runId, asked.n)
     ), known as materialized (
       select others.asked_n, others.run_id, others.n,
              b.provider_message_ids[array_position(b.message_ns, others.n)] as id
         from others join dispatch_blocks b on b.run_id = others.run_id
          and b.dispatch_n = others.dispatch_n and others.n = any(b.message_ns)
       union all
       select others.asked_n, others.run_id, others.n, a.provider_message_id
         from others join dispatches d on d.run_id = others.run_id and d.n = others.dispatch_n
          and d.message_count = 1
         join dispatch_attempts a on a.run_id = d.run_id and a.dispatch_n = d.n
       union all
       select others.asked_n, others.run_id, others.n, e.payload->'detail'->>'providerMessageId'
         from others join message_events e on e.run_id = others.run_id and e.message_n = others.n
     ), rivals as (
       -- Called about then, taken or in doubt, and nobody knows under which id.
       select distinct others.asked_n
         from others join dispatches d on d.run_id = others.run_id and d.n = others.dispatch_n
        where d.state in ('calling', 'in_doubt', 'unconfirmed', 'accepted')
          and d.called_at between others.asked_at - :aboutThenMs * interval '1 millisecond'
                              and others.asked_at + :aboutThenMs * interval '1 millisecond'
          and not exists (select 1 from known
                           where known.run_id = others.run_id and known.n = others.n
                             and known.id <> '')
     )
     select asked.dispatch_n as "dispatchN", coalesce(asked.is_unchanged, false) as "isUnchanged",
            rivals.asked_n is not null as "hasRival",
            coalesce(array_agg(distinct known.id) filter (where known.id <> ''), '{}') as "knownIds"
       from asked
       left join known on known.asked_n = asked.dispatch_n
       left join rivals on rivals.asked_n = asked.dispatch_n
      group by asked.dispatch_n, asked.is_unchanged, rivals.asked_n`,
    { tenantId, runId, accountId, dispatchNs, longestChangeMs, aboutThenMs },
  );
  return found.rows;
}
