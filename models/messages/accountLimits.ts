import type { Knex } from 'knex';
import type { RateLimit } from '../../domain/messages/rateLimits';

/**
 * Writes a new account, the tenant's or (null) the platform's, with the limit that is configured (0
 * means none); a row that is there counts.
 */
export async function ensureAccount(
  trx: Knex.Transaction,
  { id, tenantId }: { id: string; tenantId: string | null },
  limitPerMinute: number,
): Promise<void> {
  const written = await trx.raw(
    `insert into provider_accounts (id, tenant_id) values (:id, :tenantId)
     on conflict (id) do nothing returning id`,
    { id, tenantId },
  );
  // In a statement of its own: what is asked of a limit's account has to see it.
  if (written.rows.length > 0 && limitPerMinute > 0) {
    await trx.raw(
      `insert into provider_limits (account_id, per, unit, most)
       values (:id, 'minute', 'messages', :limitPerMinute)`,
      { id, limitPerMinute },
    );
  }
}

/** Gives an account these limits and no others. What its windows have counted stays. */
export async function setLimits(
  trx: Knex.Transaction,
  accountId: string,
  limits: readonly RateLimit[],
): Promise<void> {
  await trx.raw(
    `delete from provider_limits
      where account_id = :accountId
        and per || ' ' || unit <> all (cast(:kept as text[]))`,
    { accountId, kept: limits.map(({ per, unit }) => `${per} ${unit}`) },
  );
  await trx.raw(
    `insert into provider_limits
       (account_id, per, unit, most, time_zone, grows_from, grows_by, grows_since)
     select :accountId, l.per, l.unit, l.most, coalesce(l."timeZone", 'UTC'),
            (l.growth->>'from')::int, (l.growth->>'by')::numeric, (l.growth->>'since')::date
       from jsonb_to_recordset(cast(:limits as jsonb)) as l
         (per text, unit text, most int, "timeZone" text, growth jsonb)
     on conflict (account_id, per, unit) do update
        set most = excluded.most, time_zone = excluded.time_zone,
            grows_from = excluded.grows_from, grows_by = excluded.grows_by,
            grows_since = excluded.grows_since`,
    { accountId, limits: JSON.stringify(limits) },
  );
}

/** The limits of an account, as they were given. */
export async function listLimits(trx: Knex.Transaction, accountId: string): Promise<RateLimit[]> {
  const found = await trx.raw(
    `select per, unit, most, time_zone as "timeZone",
            case when grows_from is not null then jsonb_build_object('from', grows_from,
              'by', grows_by, 'since', grows_since) end as growth
       from provider_limits where account_id = ? order by unit, per`,
    [accountId],
  );
  return found.rows;
}
