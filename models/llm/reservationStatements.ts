import { plans } from '../../domain/identity/plans';
import { prepareOnce } from '../../lib/db';
import { countersOf, dayAt, monthAt } from './periods';

/** What plans allow, for the statements. */
export const planLimits = JSON.stringify(
  Object.fromEntries(Object.entries(plans).map(([name, plan]) => [name, plan.limits.aiMicros])),
);

const at = 'coalesce(cast(:at as timestamptz), statement_timestamp())';

// The calls of a group that are not there yet, and every counter that each of them asks.
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
    select c.n, c.tenant_id, k.scope, k.subject, k.period, k.starts_on, c.estimate,
           sum(c.estimate) over (partition by c.tenant_id, k.scope, k.subject, k.period
             order by c.n) as estimate_so_far
      from calls c cross join lateral ${countersOf('c', { model: 'model', instant: at })} k
  )`;

// Whether a crash of the database has taken the last calls back.
const isForgotten = `(
  (cast(:opened as uuid) is not null
    and not exists (select 1 from llm_calls where id = cast(:opened as uuid)))
  or coalesce((select outcome from llm_calls where id = cast(:settled as uuid)) = 'open', false))`;

// Where there is room for all calls of a group, which is so nearly always, nothing else need be found
// out: this takes half the time of what tells which of them there is no room for.
const openAllSql = `
  with held as materialized (
    select s.id, a.estimate, s.spent_micros + s.reserved_micros + a.estimate as wanted,
           ${limitOf('s')} as limit_micros
      from unnest(cast(:sumTenantIds as uuid[]), cast(:sumScopes as text[]),
             cast(:sumSubjects as text[]), cast(:sumPeriods as text[]), cast(:sums as bigint[]))
             as a (tenant_id, scope, subject, period, estimate)
      join llm_spend s on s.tenant_id = a.tenant_id and s.scope = a.scope
           and s.subject = a.subject and s.period = a.period
           and s.starts_on = case a.period when 'day' then (select ${dayAt(at)})
                                           else (select ${monthAt(at)}) end
     order by s.id for update of s
  ), judged as materialized (
    select count(*) = cardinality(cast(:sums as bigint[]))
           and bool_and(limit_micros is null or wanted <= limit_micros)
           and not exists (select 1 from llm_calls where id = any (cast(:ids as uuid[])))
           and not ${isForgotten} as is_opened
      from held
  ), raised as (
    update llm_spend s set reserved_micros = s.reserved_micros + h.estimate
      from held h where s.id = h.id and (select is_opened from judged)
  ), written as (
    insert into llm_calls (id, tenant_id, user_id, feature, workflow_id, kind, model_asked,
      estimate_micros, may_use_platform, is_streamed, expires_at, created_at)
    select *, ${at} from unnest(
        cast(:ids as uuid[]), cast(:tenantIds as uuid[]), cast(:userIds as uuid[]),
        cast(:features as text[]), cast(:workflowIds as text[]), cast(:kinds as text[]),
        cast(:models as text[]), cast(:estimates as bigint[]), cast(:platforms as boolean[]),
        cast(:streams as boolean[]), cast(:ends as timestamptz[]))
     where (select is_opened from judged)
  )
  select is_opened as "isOpened" from judged`;

const countSql = `
  with ${asked}
  insert into llm_spend (tenant_id, scope, subject, period, starts_on)
  select distinct tenant_id, scope, subject, period, starts_on from asks
   order by 1, 2, 3, 4, 5
  on conflict do nothing`;

// What a counter may hold at most; null for any amount.
function limitOf(counter: string): string {
  return `case when ${counter}.scope = 'plan' then (
      select case when u.tenant_id is null or u.status = 'expired'
                       or u.expires_at <= statement_timestamp()
                  then cast(cast(:plans as json) ->> 'free' as bigint)
                  when u.limits -> 'aiMicros' is not null
                  then cast(u.limits ->> 'aiMicros' as bigint)
                  else cast(cast(:plans as json) ->> u.plan as bigint) end
        from (values (1)) as one left join subscriptions u on u.tenant_id = ${counter}.tenant_id)
    else (select b.limit_micros from llm_budgets b
           where b.tenant_id = ${counter}.tenant_id and b.scope = ${counter}.scope
             and b.subject = ${counter}.subject and b.period = ${counter}.period) end`;
}

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
    select h.*, case when not ${isForced} then ${limitOf('h')} end as limit_micros
      from held h
  ), rooms as materialized (
    select a.*, l.id, l.limit_micros, l.spent_micros, l.reserved_micros,
           l.limit_micros is null or l.spent_micros + l.reserved_micros + a.estimate_so_far
             <= l.limit_micros as has_room,
           l.limit_micros is null or l.spent_micros + l.reserved_micros + a.estimate
             <= l.limit_micros as has_room_alone
      from asks a left join limited l using (tenant_id, scope, subject, period, starts_on)`;
}

const raiseOpened = `
    update llm_spend s set reserved_micros = s.reserved_micros + t.estimate
      from (select r.id, cast(sum(r.estimate) as bigint) as estimate
              from rooms r join judged j using (n) where j.state = 'opened' group by r.id) t
     where s.id = t.id
  `;

// The counter for which a call was refused, beside what became of it.
const fullCounter = `r.scope, r.subject, r.period, to_char(r.starts_on, 'YYYY-MM-DD') as "startsOn",
         r.limit_micros as "limitMicros", r.spent_micros as "spentMicros",
         r.reserved_micros as "reservedMicros"`;

const withFullCounter = `from given g left join judged j using (n)
    left join lateral (
      select * from rooms r where r.n = g.n and j.state = 'refused' and not r.has_room_alone
       order by r.period desc, r.scope limit 1) r on true
   order by g.n`;

// Among the calls of a group, each is judged as if all before it were taken; who had room alone and
// not behind them is asked again. Spent is what has no room for the call even so.
const reserveSql = `
  with ${asked}, witness as materialized (
    select ${isForgotten} as is_missing
  ), ${roomsWhere({ isForced: 'cast(:isForced as boolean)' })}
  ), judged as materialized (
    select n, case when (select is_missing from witness) then 'forgotten'
                   when bool_or(id is null) then 'again'
                   when bool_and(has_room) then 'opened'
                   when bool_and(has_room_alone) then 'again'
                   else 'refused' end as state
      from rooms group by n
  ), raised as (${raiseOpened}), written as (
    insert into llm_calls (id, tenant_id, user_id, feature, workflow_id, kind, model_asked,
      estimate_micros, is_streamed, may_use_platform, created_at, expires_at)
    select c.id, c.tenant_id, c.user_id, c.feature, c.workflow_id, c.kind, c.model, c.estimate,
           c.is_streamed, c.may_use_platform, ${at}, c.expires_at
      from calls c join judged j using (n) where j.state = 'opened'
  )
  select coalesce(j.state, 'opened') as state, ${fullCounter}
    ${withFullCounter}`;

const raiseSql = `
  with given as (
    select * from unnest(cast(:ids as uuid[]), cast(:totals as bigint[]))
      with ordinality as g (id, total, n)
  ), calls as materialized (
    select g.n, c.id, c.tenant_id, c.user_id, c.feature, c.model_asked, c.may_use_platform,
           c.created_at, greatest(g.total - c.estimate_micros, 0) as estimate
      from llm_calls c join given g on g.id = c.id
     where c.outcome = 'open' order by c.id for update of c
  ), asks as materialized (
    select c.n, c.tenant_id, k.scope, k.subject, k.period, k.starts_on, c.estimate,
           sum(c.estimate) over (partition by c.tenant_id, k.scope, k.subject, k.period, k.starts_on
             order by c.n) as estimate_so_far
      from calls c
     cross join lateral ${countersOf('c', { model: 'model_asked', instant: 'c.created_at' })} k
  ), ${roomsWhere({ isForced: 'false' })}
  ), judged as materialized (
    select n, case when bool_and(has_room) then 'opened'
                   when bool_and(has_room_alone) then 'again'
                   else 'refused' end as state
      from rooms group by n
  ), raised as (${raiseOpened}), written as (
    update llm_calls c set estimate_micros = c.estimate_micros + x.estimate
      from calls x join judged j using (n) where c.id = x.id and j.state = 'opened'
  )
  select coalesce(j.state, 'unknown') as state, ${fullCounter},
         r.estimate as "moreMicros"
    ${withFullCounter}`;

export const openingAll = prepareOnce('openAllLlmCalls', openAllSql);
export const counting = prepareOnce('countLlmCalls', countSql);
export const reserving = prepareOnce('openLlmCalls', reserveSql);
export const raising = prepareOnce('reserveMoreForLlmCalls', raiseSql);
