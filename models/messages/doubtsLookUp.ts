import type { Knex } from 'knex';
import type { LookUpRule } from '../../domain/messages/doubts/lookUps';
import type { LookUpAnswer } from '../../domain/messages/doubts/types';

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
  const taken = await db.raw(
    `insert into provider_look_ups as l (account_id, next_at)
     values (:accountId, clock_timestamp() + :spacingMs * interval '1 millisecond')
     on conflict (account_id) do update set next_at = excluded.next_at
      where l.next_at <= clock_timestamp()
     returning 1`,
    { accountId, spacingMs },
  );
  if (taken.rows.length > 0) {
    return null;
  }
  const others = await db.raw(
    'select next_at as "nextAt" from provider_look_ups where account_id = ?',
    [accountId],
  );
  return others.rows[0].nextAt;
}
