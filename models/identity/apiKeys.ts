import type { QueryBuilder } from 'objection';
import { conflict, notFound } from '../../domain/errors';
import type { TenantAction } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import type { NewApiKey } from '../../lib/apiKeys';
import { acrossTenantsInOneTrip } from '../base';
import type { SortKey } from '../pages';
import { ApiKey } from './ApiKey';
import { freeQuota, useQuota } from './quotas';

export interface ApiKeyValues {
  name: string;
  scopes: TenantAction[];
  expiresAt: Date | null;
  allowedIps: string[];
}

interface Key {
  tenantId: string;
  id: string;
}

export const apiKeySorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  name: { by: 'lower(name)', type: 'text' },
} as const satisfies Record<string, SortKey>;

const isActive = 'revoked_at is null and (expires_at is null or expires_at > now())';

/** The keys of a tenant: all of them, or those that open something now, or those that do not. */
export function apiKeysOf(
  trx: Knex.Transaction,
  tenantId: string,
  { active }: { active?: boolean | undefined } = {},
): QueryBuilder<ApiKey, ApiKey[]> {
  const query = ApiKey.query(trx).where({ tenant_id: tenantId });
  return active === undefined ? query : query.whereRaw(active ? isActive : `not (${isActive})`);
}

/** The key, or notFound. */
export async function requireApiKey(trx: Knex.Transaction, key: Key): Promise<ApiKey> {
  return orNotFound(await ApiKey.query(trx).findById([key.tenantId, key.id]));
}

/** The same, kept from changes until the transaction ends. */
export async function lockApiKey(trx: Knex.Transaction, key: Key): Promise<ApiKey> {
  return orNotFound(await ApiKey.query(trx).findById([key.tenantId, key.id]).forUpdate());
}

function orNotFound(apiKey: ApiKey | undefined): ApiKey {
  if (apiKey === undefined) {
    throw notFound('apiKey');
  }
  return apiKey;
}

/**
 * Writes a key. A row with this id was written by the same request before it could answer: nobody has
 * seen that key, so it is replaced by this one.
 */
export async function createApiKey(
  trx: Knex.Transaction,
  key: Key & { createdBy: string },
  made: NewApiKey,
  values: ApiKeyValues,
): Promise<ApiKey> {
  const written = await trx.raw(
    `insert into api_keys (tenant_id, id, name, prefix, hash, scopes, expires_at, allowed_ips, created_by)
     values (:tenantId, :id, :name, :prefix, :hash, :scopes, :expiresAt, ${networks}, :createdBy)
     on conflict (tenant_id, id) do update set hash = excluded.hash, prefix = excluded.prefix
      where api_keys.revoked_at is null and api_keys.last_used_at is null
     returning xmax = 0 as "isNew"`,
    { ...key, ...values, hash: made.hash, prefix: made.prefix },
  );
  const isNew: boolean | undefined = written.rows[0]?.isNew;
  if (isNew === true) {
    await useQuota(trx, { tenantId: key.tenantId, quota: 'apiKeys', amount: 1 });
  }
  return requireApiKey(trx, key);
}

/** Writes the values over a key; what it opens is so from its next use on. */
export async function replaceApiKey(
  trx: Knex.Transaction,
  key: ApiKey,
  values: ApiKeyValues,
): Promise<ApiKey> {
  if (key.revokedAt !== null) {
    throw conflict('apiKeyRevoked', 'The key was revoked; create another one.');
  }
  await trx.raw(
    `update api_keys set name = :name, scopes = :scopes, expires_at = :expiresAt,
            allowed_ips = ${networks}
      where tenant_id = :tenantId and id = :id`,
    { ...values, tenantId: key.tenantId, id: key.id },
  );
  return requireApiKey(trx, key);
}

// A network is kept without the bits of a host in it, which cidr refuses.
const networks = `array(select network(cast(given as inet))
                          from unnest(cast(:allowedIps as text[])) as given)`;

/** Ends a key for good; false when it was ended before. */
export async function revokeApiKey(trx: Knex.Transaction, key: ApiKey): Promise<boolean> {
  const revoked = await ApiKey.query(trx)
    .findById([key.tenantId, key.id])
    .whereNull('revoked_at')
    .patch({ revokedAt: new Date() });
  await freeQuota(trx, { tenantId: key.tenantId, quota: 'apiKeys', amount: revoked });
  return revoked > 0;
}

/** A key that somebody has, and why it may open nothing now. */
export interface KeyStanding {
  tenantId: string;
  id: string;
  scopes: string[];
  /** Whoever made it. */
  createdBy: string;
  isRevoked: boolean;
  isExpired: boolean;
  isIpAllowed: boolean;
  isTenantSuspended: boolean;
  isTenantEnded: boolean;
  isUserSuspended: boolean;
  isEmailVerified: boolean;
}

/**
 * How a key stands, null when there is none, or whoever made it is gone. One statement, asked for
 * each request; it notes once a minute that the key is used.
 */
export async function findKeyStanding(
  db: Knex,
  { hash, ip }: { hash: Buffer; ip: string | null },
): Promise<KeyStanding | null> {
  const raw = db
    .raw(
      `with found as materialized (
         select k.tenant_id, k.id, k.scopes, k.created_by, k.revoked_at is not null as is_revoked,
                coalesce(k.expires_at <= now(), false) as is_expired,
                cardinality(k.allowed_ips) = 0 or coalesce(
                  cast(:ip as inet) <<= any (cast(k.allowed_ips as inet[])), false) as is_ip_allowed,
                t.suspended_at is not null as is_tenant_suspended,
                t.ended_at is not null as is_tenant_ended,
                u.suspended_at is not null as is_user_suspended,
                u.email_verified_at is not null as is_email_verified
           from api_keys k
           join tenants t on t.id = k.tenant_id
           join users u on u.id = k.created_by
          where k.hash = :hash
       ), noted as (
         update api_keys k set last_used_at = now(), last_used_ip = cast(:ip as inet)
           from found f
          where k.tenant_id = f.tenant_id and k.id = f.id
            and not f.is_revoked and not f.is_expired and f.is_ip_allowed
            and (k.last_used_at is null or k.last_used_at < now() - interval '1 minute')
       )
       select tenant_id as "tenantId", id, scopes, created_by as "createdBy",
              is_revoked as "isRevoked", is_expired as "isExpired",
              is_ip_allowed as "isIpAllowed", is_tenant_suspended as "isTenantSuspended",
              is_tenant_ended as "isTenantEnded", is_user_suspended as "isUserSuspended",
              is_email_verified as "isEmailVerified"
         from found`,
      { hash, ip },
    )
    .options({ name: 'findKeyStanding' });
  const [rows] = await acrossTenantsInOneTrip(db, 'identity', [{ raw }], { arePlansKept: true });
  const standing: KeyStanding | undefined = rows?.[0];
  return standing ?? null;
}
