/** SQL: the day of an instant, in UTC. */
export function dayAt(instant: string): string {
  return `cast(${instant} at time zone 'UTC' as date)`;
}

/** SQL: the first day of its month, in UTC. */
export function monthAt(instant: string): string {
  return `cast(date_trunc('month', ${instant} at time zone 'UTC') as date)`;
}

/**
 * SQL: the counters of a call `c` that was made at `instant`, as (scope, subject, period, starts_on). What
 * plans allow is by month; it is asked of calls that the platform's keys may serve.
 */
export function countersOf(
  c: string,
  { model, instant }: { model: string; instant: string },
): string {
  return `(
    select k.scope, k.subject, p.period, p.starts_on
      from (values ('plan', case when ${c}.may_use_platform then '' end), ('tenant', ''),
             ('user', cast(${c}.user_id as text)), ('feature', ${c}.feature), ('model', ${c}.${model})
           ) as k (scope, subject)
     cross join (values ('day', ${dayAt(instant)}), ('month', ${monthAt(instant)}))
           as p (period, starts_on)
     where k.subject is not null and (k.scope <> 'plan' or p.period = 'month')
  )`;
}
