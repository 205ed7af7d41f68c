/** SQL: the day of an instant, in UTC. */
export function dayAt(instant: string): string {
  return `cast(${instant} at time zone 'UTC' as date)`;
}

/** SQL: the first day of its month, in UTC. */
export function monthAt(instant: string): string {
  return `cast(date_trunc('month', ${instant} at time zone 'UTC') as date)`;
}
