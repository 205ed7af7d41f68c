import type { QueryBuilder } from 'objection';
import { conflict, notFound } from '../../domain/errors';
import type { Role } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import { cancelTenant, type TurnedCampaign } from '../campaigns/heldRuns';
import type { SortKey } from '../pages';
import { Membership } from './Membership';
import { freeQuota } from './quotas';
import { Tenant } from './Tenant';

export interface TenantValues {
  name: string;
  timeZone: string;
  defaultLanguage: string;
  allowedLanguages: string[];
}

// Each comes with a free plan of its own, so one person makes only so many.
const maxTenantsOfOne = 20;

/**
 * Writes a tenant and its first owner. A row with this id is taken for the same one written before,
 * so that a repeated request creates one tenant.
 *
 * @throws conflict idempotencyKeyReused when that one was another tenant, tooManyTenants when the
 * person has made as many as one may
 */
export async function createTenant(
  trx: Knex.Transaction,
  { id, userId, values }: { id: string; userId: string; values: TenantValues },
): Promise<{ tenant: Tenant; isNew: boolean }> {
  // Requests of one person come one after the other here, so that they are counted.
  await trx.raw('select 1 from users where id = ? for update', [userId]);
  const found = await Tenant.query(trx).findById(id);
  if (found !== undefined) {
    return { tenant: requireSame(found, userId, values), isNew: false };
  }
  const made = await Tenant.query(trx)
    .where({ created_by: userId })
    .whereNull('ended_at')
    .resultSize();
  if (made >= maxTenantsOfOne) {
    throw conflict('tooManyTenants', `One person can create ${maxTenantsOfOne} tenants.`);
  }
  const tenant = await Tenant.query(trx)
    .insert({ id, createdBy: userId, ...values })
    .returning('*');
  await Membership.query(trx).insert({ tenantId: id, userId, role: 'owner' });
  return { tenant, isNew: true };
}

function requireSame(tenant: Tenant, userId: string, values: TenantValues): Tenant {
  const isSame =
    tenant.createdBy === userId &&
    tenant.name === values.name &&
    tenant.timeZone === values.timeZone &&
    tenant.defaultLanguage === values.defaultLanguage &&
    tenant.allowedLanguages.join() === values.allowedLanguages.join();
  if (!isSame) {
    throw conflict(
      'idempotencyKeyReused',
      'This Idempotency-Key was used for another tenant; take a new one.',
    );
  }
  return tenant;
}

/** The tenant, or notFound. */
export async function requireTenant(trx: Knex.Transaction, id: string): Promise<Tenant> {
  return orNotFound(await Tenant.query(trx).findById(id));
}

/** The same, kept from changes until the transaction ends; rows that name it are written meanwhile. */
export async function lockTenant(trx: Knex.Transaction, id: string): Promise<Tenant> {
  return orNotFound(await Tenant.query(trx).findById(id).forNoKeyUpdate());
}

/** Writes the values over a tenant. */
export async function replaceTenant(
  trx: Knex.Transaction,
  id: string,
  values: TenantValues,
): Promise<Tenant> {
  await Tenant.query(trx)
    .findById(id)
    .patch({ ...values, updatedAt: new Date() });
  return requireTenant(trx, id);
}

/**
 * Ends a tenant: nobody and no key works in it any more, its campaigns are cancelled, invitations to
 * it are void. Its rows stay until an operator erases them, and until then it can be brought back.
 */
export async function endTenant(trx: Knex.Transaction, id: string): Promise<TurnedCampaign[]> {
  await trx.raw(
    `update tenants
        set ended_at = now(), suspended_at = coalesce(suspended_at, now()),
            suspended_reason = coalesce(suspended_reason, 'ended'), updated_at = now()
      where id = ?`,
    [id],
  );
  const revoked = await trx.raw(
    'update api_keys set revoked_at = now() where tenant_id = ? and revoked_at is null',
    [id],
  );
  await freeQuota(trx, { tenantId: id, quota: 'apiKeys', amount: revoked.rowCount });
  await trx.raw(
    `update invitations set revoked_at = now()
      where tenant_id = ? and revoked_at is null and accepted_at is null`,
    [id],
  );
  return cancelTenant(trx, id);
}

function orNotFound(tenant: Tenant | undefined): Tenant {
  if (tenant === undefined || tenant.endedAt !== null) {
    throw notFound('tenant');
  }
  return tenant;
}

/** A tenant with what one person is in it. */
export class TenantOfPerson extends Tenant {
  declare role: Role;
  declare memberSince: Date;
}

export const tenantSorts = {
  name: { by: 'lower(tenants.name)', type: 'text' },
  memberSince: { by: 'memberships.created_at', type: 'timestamptz' },
} as const satisfies Record<string, SortKey>;

/** The tenants somebody works in, but for those that were ended. */
export function tenantsOf(
  trx: Knex.Transaction,
  userId: string,
): QueryBuilder<TenantOfPerson, TenantOfPerson[]> {
  return TenantOfPerson.query(trx)
    .join('memberships', 'memberships.tenant_id', 'tenants.id')
    .where('memberships.user_id', userId)
    .whereNull('tenants.ended_at')
    .select('memberships.role', 'memberships.created_at as memberSince');
}

/**
 * Lets a session work in another tenant of its person: null when it is none of theirs. The session
 * and its other tokens stay.
 */
export async function switchTenant(
  trx: Knex.Transaction,
  { sessionId, userId, tenantId }: { sessionId: string; userId: string; tenantId: string },
): Promise<{ role: Role; isSuspended: boolean } | null> {
  const [place] = await tenantsOf(trx, userId).select('tenants.*').where('tenants.id', tenantId);
  if (place === undefined) {
    return null;
  }
  const isSuspended = place.suspendedAt !== null;
  if (!isSuspended) {
    await trx.raw('update sessions set tenant_id = ? where id = ? and user_id = ?', [
      tenantId,
      sessionId,
      userId,
    ]);
  }
  return { role: place.role, isSuspended };
}
