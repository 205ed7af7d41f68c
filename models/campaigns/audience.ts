import type { Knex } from 'knex';
import type { Audience, Channel, LeftOutReason } from '../../domain/campaigns/types';
import type { ZoneGroup } from '../../domain/campaigns/waves';
import { reachOf } from '../customers/reach';

/** The audience of a tenant as counts: who can be reached, by stored zone, and who is left out. */
export interface AudienceCount {
  /** Everyone the audience names, reachable or not. */
  total: number;
  groups: ZoneGroup[];
  leftOut: Partial<Record<LeftOutReason, number>>;
}

/** Counts an audience in one statement. */
export async function countAudience(
  trx: Knex.Transaction,
  tenantId: string,
  channel: Channel,
  audience: Audience,
): Promise<AudienceCount> {
  const counted = await trx.raw(
    `select case when reason is null then time_zone end as zone, reason, count(*) as customers
       from (
         select c.time_zone, ${leftOutReason(channel)} as reason
           from customers c ${suppressionOf(channel)}
          where c.tenant_id = :tenantId and ${inAudience()}
       ) audience
      group by 1, 2`,
    audienceBindings(tenantId, channel, audience),
  );
  const rows: { zone: string | null; reason: LeftOutReason | null; customers: number }[] =
    counted.rows;
  const count: AudienceCount = { total: 0, groups: [], leftOut: {} };
  for (const row of rows) {
    count.total += row.customers;
    if (row.reason === null) {
      count.groups.push({ zone: row.zone, customers: row.customers });
    } else {
      count.leftOut[row.reason] = (count.leftOut[row.reason] ?? 0) + row.customers;
    }
  }
  return count;
}

/** The bindings that `inAudience` and `suppressionOf` speak of. */
export function audienceBindings(tenantId: string, channel: Channel, audience: Audience) {
  return {
    tenantId,
    channel,
    includeTags: audience.includeTags,
    excludeTags: audience.excludeTags,
    customerIds: audience.customerIds,
  };
}

/** SQL: the customer, by the name of their row, belongs to the audience. */
export function inAudience(c = 'c'): string {
  return `
  (cardinality(cast(:includeTags as text[])) = 0 or ${c}.tags && cast(:includeTags as text[]))
  and (cardinality(cast(:excludeTags as text[])) = 0
       or not ${c}.tags && cast(:excludeTags as text[]))
  and (cardinality(cast(:customerIds as uuid[])) = 0
       or ${c}.id = any(cast(:customerIds as uuid[])))`;
}

/** SQL: joins the customer `c` with the suppression `s` of their address on the channel. */
export function suppressionOf(channel: Channel): string {
  return `left join suppressions s on s.tenant_id = c.tenant_id and s.channel = :channel
             and s.address = ${reachOf[channel].suppressionKey}`;
}

/** SQL: why the customer `c` (with their suppression `s`) can't be reached now, or null. */
export function leftOutReason(channel: Channel): string {
  const { address, consent } = reachOf[channel];
  return `
  case when ${address} is null then 'noAddress'
       when ${consent} = 'withdrawn' then 'withdrawn'
       when s.address is not null then 'suppressed'
       ${channel === 'email' ? '' : `when ${isShared(channel)} then 'sameAddress'`} end`;
}

/**
 * SQL: somebody of the audience before the customer `c` has the same phone: who reads there gets a
 * message once. No two customers have one mail address.
 */
function isShared(channel: Exclude<Channel, 'email'>): string {
  return `exists (
         select 1 from customers o
          where o.tenant_id = c.tenant_id and o.phone = c.phone and o.id < c.id
            and o.${channel}_consent <> 'withdrawn' and ${inAudience('o')})`;
}
