import type { BudgetPeriod, SpentBudget } from '../../domain/llm/budgets';
import { plans } from '../../domain/identity/plans';
import type { FailureKind } from '../../domain/llm/failures';
import type { TokenUsage } from '../../domain/llm/types';
import { prepareOnce, type Knex } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';
import { dayAt, monthAt } from './periods';

/** A call that is about to be made. */
export interface NewCall {
  readonly callId: string;
  readonly tenantId: string;
  readonly userId: string | null;
  readonly feature: string;
  readonly workflowId: string | null;
  readonly kind: 'chat' | 'embedding' | 'image';
  readonly model: string;
  readonly estimateMicros: number;
  readonly mayUsePlatform: boolean;
  readonly isStreamed: boolean;
  readonly expiresAt: Date;
}

export type Opened =
  | { readonly state: 'opened' }
  /** Not enough is left of a budget for this call alone. */
  | { readonly state: 'refused'; readonly budget: SpentBudget }
  /** Others of the group may have taken what was left: to be asked again. */
  | { readonly state: 'again' }
  /** The first call of a period: its counters are to be made. */
  | { readonly state: 'uncounted' }
  /** The database crashed and has lost the last calls: they are to be opened again before this one. */
  | { readonly state: 'forgotten' };

/**
 * Reserves what calls may cost at most, under every counter of each, and writes their rows; answers
 * what became of each, in order. A call is reserved as a whole or not at all, and one that is there
 * already is left as it is: the same group may be opened again. All rows are locked in the order of
 * their ids, so that groups of many processes wait for one another and never in a circle.
 *
 * It does not wait for the disk, so a crash of the database may take the last ones back: all that came
 * after some moment. `witnesses` names the last call that this process opened and the last that it
 * settled; while they are not so, nothing is opened, but by `isForced`, which passes all limits: those
 * calls are being made.
 */
export async function openCalls(
  db: Knex,
  calls: readonly NewCall[],
  options: {
    at?: Date | null;
    makesCounters: boolean;
    witnesses?: { opened: string | null; settled: string | null };
    isForced?: boolean;
  },
): Promise<Opened[]> {
  const { at = null, makesCounters, witnesses, isForced = false } = options;
  const values = {
    ...columnsOf(calls),
    at,
    plans: planLimits,
    opened: witnesses?.opened ?? null,
    settled: witnesses?.settled ?? null,
    isForced,
  };
  const reserve = { raw: reserving(values) };
  const count = { raw: counting(values) };
  const answers = await acrossTenantsInOneTrip(
    db,
    'llmLedger',
    makesCounters ? [withoutDisk, count, reserve] : [withoutDisk, reserve],
    { arePlansKept: true },
  );
  const rows: (SpentBudget & { state: Opened['state'] })[] = answers.at(-1) ?? [];
  return rows.map(({ state, ...budget }) => (state === 'refused' ? { state, budget } : { state }));
}

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

/**
 * Raises what open calls have reserved to `estimateMicros` in all, under the counters they were opened
 * under; answers what became of each, in order. What is reserved already stays; doing it twice is doing
 * it once. Each call may be in it once.
 */
export async function reserveMore(
  db: Knex,
  calls: readonly { readonly callId: string; readonly estimateMicros: number }[],
): Promise<Raised[]> {
  const [, answers] = await acrossTenantsInOneTrip(
    db,
    'llmLedger',
    [
      withoutDisk,
      {
        raw: raising({
          ids: calls.map((call) => call.callId),
          totals: calls.map((call) => call.estimateMicros),
          plans: planLimits,
        }),
      },
    ],
    { arePlansKept: true },
  );
  const rows: (SpentBudget & { state: Raised['state']; moreMicros: number })[] = answers ?? [];
  return rows.map(({ state, moreMicros, ...budget }) =>
    state === 'refused' ? { state, budget, moreMicros } : { state },
  );
}

export type Raised =
  | { readonly state: 'opened' | 'again' }
  | { readonly state: 'refused'; readonly budget: SpentBudget; readonly moreMicros: number }
  /** There is no such call, or it is over. */
  | { readonly state: 'unknown' };

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
  db: Knex,
  calls: readonly EndedCall[],
): Promise<{ spent: SpentKey[]; unknownIds: string[] }> {
  const [, settled] = await acrossTenantsInOneTrip(
    db,
    'llmLedger',
    [
      withoutDisk,
      { raw: settling(endedColumns(calls)) },
      ...attemptsOf(calls).map((values) => ({ raw: noting(values) })),
    ],
    { arePlansKept: true },
  );
  const rows: (SpentKey & { unknownId: string | null })[] = settled ?? [];
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
  await trx.raw(settleSql, endedColumns(calls));
  for (const values of attemptsOf(calls)) {
    await trx.raw(attemptsSql, values);
  }
}

// None for calls that made none.
function attemptsOf(calls: readonly EndedCall[]) {
  const attempts = calls.flatMap((call) =>
    call.attempts.map((attempt) => ({ ...attempt, callId: call.callId })),
  );
  return attempts.length === 0 ? [] : [attemptColumns(attempts)];
}

const planLimits = JSON.stringify(
  Object.fromEntries(Object.entries(plans).map(([name, plan]) => [name, plan.limits.aiMicros])),
);

const at = 'coalesce(cast(:at as timestamptz), statement_timestamp())';

// The calls of a group that are not there yet, and every counter that each of them asks. What plans
// allow is by month; it is asked of calls that the platform's keys may serve.
const asked = `
  given as (
    select * from unnest(
        cast(:ids as uuid[]), cast(:tenantIds as uuid[]), cast(:userIds as uuid[]),
        cast(:features as text[]), cast(:workflowIds as text[]), cast(:kinds as text[]),
        cast(:models as text[]), cast(:estimates as bigint[]), cast(:platforms as boolean[]),
        cast(:streams as boolean[]), cast(:ends as timestamptz[]))
      with ordinality as g (id, tenant_id, user_id, feature, workflow_id, kind, model, estimate,
        may_use_platform, is_streamed, expires_at, n)
  ), calls as materialized (
    select g.* from given g where not exists (select 1 from llm_calls c where c.id = g.id)
  ), asks as materialized (
    select c.n, c.tenant_id, k.scope, k.subject, p.period, p.starts_on, c.estimate,
           sum(c.estimate) over (partition by c.tenant_id, k.scope, k.subject, p.period
             order by c.n) as estimate_so_far
      from calls c
     cross join lateral (values
       ('plan', case when c.may_use_platform then '' end), ('tenant', ''),
       ('user', cast(c.user_id as text)), ('feature', c.feature), ('model', c.model)
     ) as k (scope, subject)
     cross join (values ('day', ${dayAt(at)}), ('month', ${monthAt(at)})) as p (period, starts_on)
     where k.subject is not null and (k.scope <> 'plan' or p.period = 'month')
  )`;

const countSql = `
  with ${asked}
  insert into llm_spend (tenant_id, scope, subject, period, starts_on)
  select distinct tenant_id, scope, subject, period, starts_on from asks
   order by 1, 2, 3, 4, 5
  on conflict do nothing`;

// What is left of every counter that calls ask, all of them locked.
function roomsWhere({ isForced }: { isForced: string }): string {
  return `held as materialized (
    select s.id, s.tenant_id, s.scope, s.subject, s.period, s.starts_on, s.spent_micros,
           s.reserved_micros
      from llm_spend s
      join (select distinct tenant_id, scope, subject, period, starts_on from asks) a
           using (tenant_id, scope, subject, period, starts_on)
     order by s.id for update of s
  ), limited as materialized (
    select h.*,
           case when ${isForced} then null
                when h.scope <> 'plan' then b.limit_micros
                when u.tenant_id is null or u.status = 'expired'
                     or u.expires_at <= statement_timestamp()
                then cast(cast(:plans as json) ->> 'free' as bigint)
                when u.limits -> 'aiMicros' is not null
                then cast(u.limits ->> 'aiMicros' as bigint)
                else cast(cast(:plans as json) ->> u.plan as bigint) end as limit_micros
      from held h
      left join llm_budgets b on b.tenant_id = h.tenant_id and b.scope = h.scope
           and b.subject = h.subject and b.period = h.period
      left join subscriptions u on h.scope = 'plan' and u.tenant_id = h.tenant_id
  ), rooms as materialized (
    select a.*, l.id, l.limit_micros, l.spent_micros, l.reserved_micros,
           l.limit_micros is null or l.spent_micros + l.reserved_micros + a.estimate_so_far
             <= l.limit_micros as has_room,
           l.limit_micros is null or l.spent_micros + l.reserved_micros + a.estimate
             <= l.limit_micros as has_room_alone
      from asks a left join limited l using (tenant_id, scope, subject, period, starts_on)`;
}

// Among the calls of a group, each is judged as if all before it were taken; who had room alone and
// not behind them is asked again. Spent is what has no room for the call even so.
const reserveSql = `
  with ${asked}, witness as materialized (
    select (cast(:opened as uuid) is not null
             and not exists (select 1 from llm_calls where id = cast(:opened as uuid)))
        or exists (select 1 from llm_calls where id = cast(:settled as uuid) and outcome = 'open')
           as is_missing
  ), ${roomsWhere({ isForced: 'cast(:isForced as boolean)' })}
  ), judged as materialized (
    select n, case when (select is_missing from witness) then 'forgotten'
                   when bool_or(id is null) then 'uncounted'
                   when bool_and(has_room) then 'opened'
                   when bool_and(has_room_alone) then 'again'
                   else 'refused' end as state,
           jsonb_agg(jsonb_build_array(scope, subject, period, starts_on)) as counters
      from rooms group by n
  ), raised as (
    update llm_spend s set reserved_micros = s.reserved_micros + t.estimate
      from (select r.id, cast(sum(r.estimate) as bigint) as estimate
              from rooms r join judged j using (n) where j.state = 'opened' group by r.id) t
     where s.id = t.id
  ), written as (
    insert into llm_calls (id, tenant_id, user_id, feature, workflow_id, kind, model_asked,
      estimate_micros, is_streamed, reserved_under, created_at, expires_at)
    select c.id, c.tenant_id, c.user_id, c.feature, c.workflow_id, c.kind, c.model, c.estimate,
           c.is_streamed, j.counters, ${at}, c.expires_at
      from calls c join judged j using (n) where j.state = 'opened'
  )
  select coalesce(j.state, 'opened') as state, r.scope, r.subject, r.period,
         to_char(r.starts_on, 'YYYY-MM-DD') as "startsOn", r.limit_micros as "limitMicros",
         r.spent_micros as "spentMicros", r.reserved_micros as "reservedMicros"
    from given g left join judged j using (n)
    left join lateral (
      select * from rooms r where r.n = g.n and j.state = 'refused' and not r.has_room_alone
       order by r.period desc, r.scope limit 1) r on true
   order by g.n`;

const raiseSql = `
  with given as (
    select * from unnest(cast(:ids as uuid[]), cast(:totals as bigint[]))
      with ordinality as g (id, total, n)
  ), calls as materialized (
    select g.n, c.id, c.tenant_id, c.reserved_under,
           greatest(g.total - c.estimate_micros, 0) as estimate
      from llm_calls c join given g on g.id = c.id
     where c.outcome = 'open' order by c.id for update of c
  ), asks as materialized (
    select c.n, c.tenant_id, h.counter ->> 0 as scope, h.counter ->> 1 as subject,
           h.counter ->> 2 as period, cast(h.counter ->> 3 as date) as starts_on, c.estimate,
           sum(c.estimate) over (partition by c.tenant_id, h.counter order by c.n)
             as estimate_so_far
      from calls c cross join lateral jsonb_array_elements(c.reserved_under) as h (counter)
  ), ${roomsWhere({ isForced: 'false' })}
  ), judged as materialized (
    select n, case when bool_and(has_room) then 'opened'
                   when bool_and(has_room_alone) then 'again'
                   else 'refused' end as state
      from rooms group by n
  ), raised as (
    update llm_spend s set reserved_micros = s.reserved_micros + t.estimate
      from (select r.id, cast(sum(r.estimate) as bigint) as estimate
              from rooms r join judged j using (n) where j.state = 'opened' group by r.id) t
     where s.id = t.id
  ), written as (
    update llm_calls c set estimate_micros = c.estimate_micros + x.estimate
      from calls x join judged j using (n) where c.id = x.id and j.state = 'opened'
  )
  select coalesce(j.state, 'unknown') as state, r.scope, r.subject, r.period,
         to_char(r.starts_on, 'YYYY-MM-DD') as "startsOn", r.limit_micros as "limitMicros",
         r.spent_micros as "spentMicros", r.reserved_micros as "reservedMicros",
         r.estimate as "moreMicros"
    from given g left join judged j using (n)
    left join lateral (
      select * from rooms r where r.n = g.n and j.state = 'refused' and not r.has_room_alone
       order by r.period desc, r.scope limit 1) r on true
   order by g.n`;

// Calls, then counters by their ids, then keys, then sums: every group takes its locks in this order,
// because each step asks how many rows the one before it has.
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
    select c.id, c.tenant_id, c.user_id, c.feature, c.estimate_micros, c.reserved_under,
           c.created_at, coalesce(g.model, c.model_asked) as model_used,
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
    select s.tenant_id, h.counter ->> 0 as scope, h.counter ->> 1 as subject,
           h.counter ->> 2 as period, cast(h.counter ->> 3 as date) as starts_on,
           cast(sum(s.estimate_micros) as bigint) as freed,
           cast(sum(case when h.counter ->> 0 = 'plan' then s.platform_cost
                         else s.cost end) as bigint) as spent
      from settled s cross join lateral jsonb_array_elements(s.reserved_under) as h (counter)
     group by 1, 2, 3, 4, 5
  ), held as materialized (
    select p.id, x.freed, x.spent
      from llm_spend p join changes x using (tenant_id, scope, subject, period, starts_on)
     order by p.id for update of p
  ), counted as (
    update llm_spend p set reserved_micros = p.reserved_micros - h.freed,
           spent_micros = p.spent_micros + h.spent
      from held h where p.id = h.id
  ), of_keys as (
    insert into llm_spend as p (tenant_id, scope, subject, period, starts_on, spent_micros)
    select case when s.is_of_platform then null else s.tenant_id end, 'key',
           cast(s.key_id as text), k.period, k.starts_on, cast(sum(s.cost) as bigint)
      from shares s cross join lateral (values ('day', s.day), ('month', s.month))
           as k (period, starts_on)
     where s.key_id is not null and (select count(*) from held) >= 0
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
  on conflict do nothing`;

// Locks are held until a commit is over: without a wait for the disk that is soon.
const withoutDisk = {
  raw: { name: 'withoutDisk', text: 'set local synchronous_commit = off', values: [] },
};

const counting = prepareOnce('countLlmCalls', countSql);
const reserving = prepareOnce('openLlmCalls', reserveSql);
const raising = prepareOnce('reserveMoreForLlmCalls', raiseSql);
const settling = prepareOnce('settleLlmCalls', settleSql);
const noting = prepareOnce('noteLlmAttempts', attemptsSql);

function columnsOf(calls: readonly NewCall[]) {
  return {
    ids: calls.map((call) => call.callId),
    tenantIds: calls.map((call) => call.tenantId),
    userIds: calls.map((call) => call.userId),
    features: calls.map((call) => call.feature),
    workflowIds: calls.map((call) => call.workflowId),
    kinds: calls.map((call) => call.kind),
    models: calls.map((call) => call.model),
    estimates: calls.map((call) => call.estimateMicros),
    platforms: calls.map((call) => call.mayUsePlatform),
    streams: calls.map((call) => call.isStreamed),
    ends: calls.map((call) => call.expiresAt.toISOString()),
  };
}

/** What a call came to with one key and model; the calls' sums are theirs, to the micro. */
interface Share {
  readonly callId: string;
  readonly model: string | null;
  readonly keyId: string | null;
  readonly isOfPlatform: boolean;
  readonly costMicros: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Whether the call ended with it: there it is counted as one. */
  readonly isEnd: boolean;
}

// What attempts cost elsewhere is booked there, and all the rest where the call ended.
function sharesOf(call: EndedCall): Share[] {
  const { callId, model, keyId, isOfPlatform, costMicros, usage } = call;
  const others = call.attempts
    .filter((attempt) => attempt.costMicros > 0 && !isWhereItEnded(attempt, call))
    .map((attempt) => ({
      callId,
      model: attempt.model,
      keyId: attempt.keyId,
      isOfPlatform: attempt.isOfPlatform,
      costMicros: attempt.costMicros,
      promptTokens: attempt.usage?.promptTokens ?? 0,
      completionTokens: attempt.usage?.completionTokens ?? 0,
      isEnd: false,
    }));
  const left = (all: number, of: (share: Share) => number) =>
    others.reduce((rest, share) => rest - of(share), all);
  return [
    ...others,
    {
      callId,
      model,
      keyId,
      isOfPlatform,
      costMicros: left(costMicros, (share) => share.costMicros),
      promptTokens: left(usage?.promptTokens ?? 0, (share) => share.promptTokens),
      completionTokens: left(usage?.completionTokens ?? 0, (share) => share.completionTokens),
      isEnd: true,
    },
  ];
}

// The name an answer comes under may be another one than was asked.
function isWhereItEnded(attempt: CallAttempt, call: EndedCall): boolean {
  return (
    attempt.keyId === call.keyId &&
    attempt.isOfPlatform === call.isOfPlatform &&
    (attempt.model === call.model || attempt.failureKind === null)
  );
}

function platformCost(shares: readonly Share[]): number {
  return shares.reduce((sum, share) => (share.isOfPlatform ? sum + share.costMicros : sum), 0);
}

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
