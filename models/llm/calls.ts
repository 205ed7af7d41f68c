import type { BudgetPeriod } from '../../domain/llm/budgets';
import type { FailureKind } from '../../domain/llm/failures';
import type { TokenUsage } from '../../domain/llm/types';
import { prepareOnce, type Knex } from '../../lib/db';
import type { PurposeDatabase } from '../base';
import { platformCost, sharesOf } from './callShares';
import { countersOf, dayAt, monthAt } from './periods';

/** What became of a call. */
export interface EndedCall {
  readonly callId: string;
  readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'cached' | 'lost';
  readonly failureKind: FailureKind | null;
  readonly model: string | null;
  readonly keyId: string | null;
  readonly accountId: string | null;
  /** Whether what it cost is the plan's. */
  readonly isOfPlatform: boolean;
  readonly usage: TokenUsage | null;
  readonly costMicros: number;
  readonly costSource: 'vendor' | 'prices' | 'estimate' | 'none';
  readonly firstTokenMs: number | null;
  readonly totalMs: number | null;
  readonly attempts: readonly CallAttempt[];
}

export interface CallAttempt {
  readonly n: number;
  readonly keyId: string;
  readonly accountId: string;
  readonly isOfPlatform: boolean;
  readonly usage: TokenUsage | null;
  readonly costMicros: number;
  readonly model: string;
  readonly failureKind: FailureKind | null;
  readonly status: number | null;
  readonly generationId: string | null;
  readonly firstTokenMs: number | null;
  readonly totalMs: number;
  readonly startedAt: Date;
}

/** A key of whose budget nothing is left. */
export interface SpentKey {
  readonly keyId: string;
  readonly period: BudgetPeriod;
  readonly startsOn: string;
}

/**
 * Records what calls cost: gives back what was reserved for them, and adds to what is spent, to the
 * sums of their days and to their keys. What is not open any more changes nothing, so that settling
 * twice is settling once. Each call may be in it once. Answers the keys whose budgets are spent, and
 * the calls that are not there at all: a crash of the database has taken them back.
 */
export async function settleCalls(
  db: PurposeDatabase,
  calls: readonly EndedCall[],
): Promise<{ spent: SpentKey[]; unknownIds: string[] }> {
  const answers = await db.inOneTrip([
    ...attemptsOf(calls).map((values) => ({ raw: noting(values) })),
    // Last: others wait for its counters until the commit.
    { raw: settling(endedColumns(calls)) },
  ]);
  const rows: (SpentKey & { unknownId: string | null })[] = answers.at(-1) ?? [];
  return {
    spent: rows.filter(({ unknownId }) => unknownId === null),
    unknownIds: rows.flatMap(({ unknownId }) => unknownId ?? []),
  };
}

/** The same inside a transaction that looks across tenants for `llmLedger`. */
export async function settleCallsWithin(
  trx: Knex.Transaction,
  calls: readonly EndedCall[],
): Promise<void> {
  for (const values of attemptsOf(calls)) {
    await trx.raw(attemptsSql, values);
  }
  await trx.raw(settleSql, endedColumns(calls));
}

// None for calls that made none.
function attemptsOf(calls: readonly EndedCall[]) {
  const attempts = calls.flatMap((call) =>
    call.attempts.map((attempt) => ({ ...attempt, callId: call.callId })),
  );
  return attempts.length === 0 ? [] : [attemptColumns(attempts)];
}

// Calls, then keys, then sums, then counters by their ids: every group takes its locks in this order
// (attempts, which come before, share those of their calls), because each step asks how many rows the
// one before it has. Counters come last: whoever opens a call waits for them until the commit.
const settleSql = `
  with given as (
    select * from unnest(
        cast(:ids as uuid[]), cast(:outcomes as text[]), cast(:failures as text[]),
        cast(:models as text[]), cast(:keyIds as uuid[]), cast(:accountIds as uuid[]),
        cast(:platformCosts as bigint[]), cast(:costs as bigint[]), cast(:sources as text[]),
        cast(:promptTokens as int[]), cast(:completionTokens as int[]),
        cast(:cachedTokens as int[]), cast(:reasoningTokens as int[]),
        cast(:firstTokens as int[]), cast(:totals as int[]), cast(:attempts as int[]))
      as g (call_id, outcome, failure_kind, model, key_id, account_id, platform_cost, cost,
        cost_source, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens,
        first_token_ms, total_ms, attempts)
  ), settled as materialized (
    select c.id, c.tenant_id, c.user_id, c.feature, c.estimate_micros,
           c.model_asked, c.may_use_platform, c.created_at, coalesce(g.model, c.model_asked) as model_used,
           ${dayAt('c.created_at')} as day, ${monthAt('c.created_at')} as month, g.*
      from llm_calls c join given g on g.call_id = c.id
     where c.outcome = 'open' order by c.id for update of c
  ), shares as materialized (
    select s.tenant_id, s.user_id, s.feature, s.day, s.month, s.outcome,
           coalesce(p.model, s.model_used) as model, p.key_id, p.is_of_platform, p.cost,
           p.prompt_tokens, p.completion_tokens, p.is_end
      from settled s
      join unnest(
          cast(:shareIds as uuid[]), cast(:shareModels as text[]), cast(:shareKeyIds as uuid[]),
          cast(:sharePlatforms as boolean[]), cast(:shareCosts as bigint[]),
          cast(:sharePrompts as int[]), cast(:shareCompletions as int[]),
          cast(:shareEnds as boolean[]))
        as p (call_id, model, key_id, is_of_platform, cost, prompt_tokens, completion_tokens,
          is_end) on p.call_id = s.call_id
  ), changes as materialized (
    select s.tenant_id, k.scope, k.subject, k.period, k.starts_on,
           cast(sum(s.estimate_micros) as bigint) as freed,
           cast(sum(case when k.scope = 'plan' then s.platform_cost else s.cost end) as bigint)
             as spent
      from settled s
     cross join lateral ${countersOf('s', { model: 'model_asked', instant: 's.created_at' })} k
     group by 1, 2, 3, 4, 5
  ), of_keys as (
    insert into llm_spend as p (tenant_id, scope, subject, period, starts_on, spent_micros)
    select case when s.is_of_platform then null else s.tenant_id end, 'key',
           cast(s.key_id as text), k.period, k.starts_on, cast(sum(s.cost) as bigint)
      from shares s cross join lateral (values ('day', s.day), ('month', s.month))
           as k (period, starts_on)
     where s.key_id is not null
     group by 1, 3, 4, 5 order by 1, 3, 4, 5
    on conflict (tenant_id, scope, subject, period, starts_on)
      do update set spent_micros = p.spent_micros + excluded.spent_micros
    returning p.tenant_id, p.subject, p.period, p.starts_on, p.spent_micros
  ), summed as (
    insert into llm_usage_days as u (tenant_id, day, feature, model, key_id, user_id, calls, failed,
      prompt_tokens, completion_tokens, cost_micros)
    select s.tenant_id, s.day, s.feature, s.model, s.key_id, s.user_id,
           count(*) filter (where s.is_end),
           count(*) filter (where s.is_end and s.outcome in ('failed', 'lost')),
           coalesce(sum(s.prompt_tokens), 0), coalesce(sum(s.completion_tokens), 0),
           cast(sum(s.cost) as bigint)
      from shares s where (select count(*) from of_keys) >= 0
     group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
    on conflict (tenant_id, day, feature, model, key_id, user_id)
      do update set calls = u.calls + excluded.calls, failed = u.failed + excluded.failed,
        prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = u.completion_tokens + excluded.completion_tokens,
        cost_micros = u.cost_micros + excluded.cost_micros
    returning 1
  ), written as (
    update llm_calls c
       set outcome = s.outcome, failure_kind = s.failure_kind, model = s.model,
           key_id = s.key_id, account_id = s.account_id, cost_micros = s.cost,
           cost_source = s.cost_source, prompt_tokens = s.prompt_tokens,
           completion_tokens = s.completion_tokens, cached_tokens = s.cached_tokens,
           reasoning_tokens = s.reasoning_tokens, first_token_ms = s.first_token_ms,
           total_ms = s.total_ms, attempts = s.attempts, settled_at = clock_timestamp(),
           price_snapshot_id = (
             select p.id from llm_price_snapshots p
              where p.model = s.model_used and p.valid_from <= s.created_at
              order by p.valid_from desc limit 1)
      from settled s where c.id = s.id
    returning 1
  ), held as materialized (
    select p.id, x.freed, x.spent
      from llm_spend p join changes x using (tenant_id, scope, subject, period, starts_on)
     where (select count(*) from summed) >= 0 and (select count(*) from written) >= 0
     order by p.id for update of p
  ), counted as (
    update llm_spend p set reserved_micros = p.reserved_micros - h.freed,
           spent_micros = p.spent_micros + h.spent
      from held h where p.id = h.id
  )
  select cast(null as uuid) as "unknownId", k.subject as "keyId", k.period,
         to_char(k.starts_on, 'YYYY-MM-DD') as "startsOn"
    from of_keys k
    join llm_budgets b on b.scope = 'key' and b.subject = k.subject and b.period = k.period
         and b.tenant_id is not distinct from k.tenant_id
   where k.spent_micros >= b.limit_micros
  union all
  select g.call_id, null, null, null from given g
   where not exists (select 1 from llm_calls c where c.id = g.call_id)`;

const attemptsSql = `
  insert into llm_attempts (call_id, n, tenant_id, key_id, account_id, model, failure_kind, status,
    generation_id, first_token_ms, total_ms, started_at)
  select a.call_id, a.n, c.tenant_id, a.key_id, a.account_id, a.model, a.failure_kind, a.status,
         a.generation_id, a.first_token_ms, a.total_ms, a.started_at
    from unnest(
        cast(:callIds as uuid[]), cast(:ns as int[]), cast(:keyIds as uuid[]),
        cast(:accountIds as uuid[]), cast(:models as text[]), cast(:failures as text[]),
        cast(:statuses as int[]), cast(:generationIds as text[]), cast(:firstTokens as int[]),
        cast(:totals as int[]), cast(:starts as timestamptz[]))
      as a (call_id, n, key_id, account_id, model, failure_kind, status, generation_id,
        first_token_ms, total_ms, started_at)
    join llm_calls c on c.id = a.call_id and c.outcome <> 'lost'
   order by c.id, a.n
  on conflict do nothing`;

const settling = prepareOnce('settleLlmCalls', settleSql);
const noting = prepareOnce('noteLlmAttempts', attemptsSql);

function endedColumns(calls: readonly EndedCall[]) {
  const sharesOfCalls = calls.map(sharesOf);
  const shares = sharesOfCalls.flat();
  return {
    ids: calls.map((call) => call.callId),
    outcomes: calls.map((call) => call.outcome),
    failures: calls.map((call) => call.failureKind),
    models: calls.map((call) => call.model),
    keyIds: calls.map((call) => call.keyId),
    accountIds: calls.map((call) => call.accountId),
    platformCosts: sharesOfCalls.map(platformCost),
    costs: calls.map((call) => call.costMicros),
    sources: calls.map((call) => call.costSource),
    promptTokens: calls.map((call) => call.usage?.promptTokens ?? null),
    completionTokens: calls.map((call) => call.usage?.completionTokens ?? null),
    cachedTokens: calls.map((call) => call.usage?.cachedTokens ?? null),
    reasoningTokens: calls.map((call) => call.usage?.reasoningTokens ?? null),
    firstTokens: calls.map((call) => wholeMs(call.firstTokenMs)),
    totals: calls.map((call) => wholeMs(call.totalMs)),
    attempts: calls.map((call) => call.attempts.length),
    shareIds: shares.map((share) => share.callId),
    shareModels: shares.map((share) => share.model),
    shareKeyIds: shares.map((share) => share.keyId),
    sharePlatforms: shares.map((share) => share.isOfPlatform),
    shareCosts: shares.map((share) => share.costMicros),
    sharePrompts: shares.map((share) => share.promptTokens),
    shareCompletions: shares.map((share) => share.completionTokens),
    shareEnds: shares.map((share) => share.isEnd),
  };
}

function attemptColumns(attempts: readonly (CallAttempt & { callId: string })[]) {
  return {
    callIds: attempts.map((attempt) => attempt.callId),
    ns: attempts.map((attempt) => attempt.n),
    keyIds: attempts.map((attempt) => attempt.keyId),
    accountIds: attempts.map((attempt) => attempt.accountId),
    models: attempts.map((attempt) => attempt.model),
    failures: attempts.map((attempt) => attempt.failureKind),
    statuses: attempts.map((attempt) => attempt.status),
    generationIds: attempts.map((attempt) => attempt.generationId),
    firstTokens: attempts.map((attempt) => wholeMs(attempt.firstTokenMs)),
    totals: attempts.map((attempt) => wholeMs(attempt.totalMs)),
    starts: attempts.map((attempt) => attempt.startedAt.toISOString()),
  };
}

// Clocks of processes tell fractions.
function wholeMs(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}
