import { addressKey } from '../../domain/identity/addressKey';
import type { Role } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import { brokenUniqueConstraint } from '../../lib/databaseErrors';
import { newId } from '../../lib/ids';
import { acrossTenants } from '../base';
import { audit, type NewAuditEntry } from './audit';
import { Membership } from './Membership';
import { Tenant } from './Tenant';
import { tenantsOf } from './tenants';
import { User } from './User';

export interface NewAccount {
  tenantId: string;
  userId: string;
  companyName: string;
  email: string;
  passwordHash: string;
  firstName: string | null;
  lastName: string | null;
  timeZone: string;
  language: string;
}

/** A person in one of their tenants, or in none. */
export interface Account {
  user: User;
  place: Place | null;
}

/** A tenant, and what somebody is in it. */
export interface Place {
  tenant: Tenant;
  role: Role;
}

/**
 * Writes a person with a tenant of their own, both or none; null when the address has an account
 * already. The person is nobody's before, so it cannot be written within a tenant. The entry of the
 * audit log is written with them.
 */
export async function createAccount(
  db: Knex,
  account: NewAccount,
  entry?: NewAuditEntry,
): Promise<Account | null> {
  try {
    return await acrossTenants(db, 'identity', async (trx) => {
      const tenant = await Tenant.query(trx)
        .insert({
          id: account.tenantId,
          name: account.companyName,
          timeZone: account.timeZone,
          defaultLanguage: account.language,
          createdBy: account.userId,
        })
        .returning('*');
      const user = await User.query(trx)
        .insert({
          id: account.userId,
          email: account.email,
          passwordHash: account.passwordHash,
          firstName: account.firstName,
          lastName: account.lastName,
          companyName: account.companyName,
          timeZone: account.timeZone,
          language: account.language,
        })
        .returning('*');
      await Membership.query(trx).insert({
        tenantId: account.tenantId,
        userId: account.userId,
        role: 'owner',
      });
      await audit(trx, ...(entry === undefined ? [] : [entry]));
      return { user, place: { tenant, role: 'owner' } };
    });
  } catch (error) {
    // The primary keys collide too when the same registration is sent twice.
    const broken = brokenUniqueConstraint(error);
    if (broken === 'users_email' || broken === 'users_pkey' || broken === 'tenants_pkey') {
      return null;
    }
    throw error;
  }
}

/** Who has the address. Somebody who signs in has not said which tenant is theirs. */
export function findUserByEmail(db: Knex, email: string): Promise<User | null> {
  return acrossTenants(db, 'identity', async (trx) => {
    const user = await User.query(trx)
      .where({ email_key: addressKey(email) })
      .first();
    return user ?? null;
  });
}

/**
 * Keeps a person as they are until the transaction ends. False when it is not any more what was looked
 * at before, which is what they showed that it is them by: the password, the second factor, or that
 * they are not suspended.
 */
export async function lockUnchanged(trx: Knex.Transaction, seen: User): Promise<boolean> {
  const now = await User.query(trx)
    .findById(seen.id)
    .select('password_hash', 'mfa_enabled_at', 'suspended_at')
    .forUpdate();
  return (
    now !== undefined &&
    now.passwordHash === seen.passwordHash &&
    now.mfaEnabledAt?.getTime() === seen.mfaEnabledAt?.getTime() &&
    now.suspendedAt?.getTime() === seen.suspendedAt?.getTime()
  );
}

/**
 * The person in the tenant, or where they began to work first when none is named, rather not in one
 * that is suspended. The place is null for a person who works in no tenant, or not in the one that is
 * named.
 */
export async function findAccount(
  trx: Knex.Transaction,
  { userId, tenantId }: { userId: string; tenantId?: string | null },
): Promise<Account | null> {
  const user = await User.query(trx).findById(userId);
  return user === undefined ? null : { user, place: await findPlace(trx, userId, tenantId) };
}

/**
 * The tenant a person signs in to when they name none, also asked for nobody: it takes as long for
 * an address that nobody has.
 */
export async function firstTenantOf(
  trx: Knex.Transaction,
  userId: string | null,
): Promise<string | null> {
  const membership = await Membership.query(trx)
    .where('user_id', userId ?? newId())
    .orderBy([{ column: 'created_at' }, { column: 'tenant_id' }])
    .first();
  return membership?.tenantId ?? null;
}

async function findPlace(
  trx: Knex.Transaction,
  userId: string,
  tenantId: string | null | undefined,
): Promise<Place | null> {
  const query = tenantsOf(trx, userId).select('tenants.*');
  const tenant = await (tenantId == null ? query : query.where('tenants.id', tenantId))
    .orderByRaw('tenants.suspended_at is not null, memberships.created_at, tenants.id')
    .first();
  return tenant === undefined ? null : { tenant, role: tenant.role };
}
