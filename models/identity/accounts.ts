import type { Knex } from '../../lib/db';
import { brokenUniqueConstraint } from '../../lib/databaseErrors';
import { acrossTenants, withTenant } from '../base';
import { Tenant } from './Tenant';
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

export interface Account {
  tenant: Tenant;
  user: User;
}

/** Writes a tenant and its owner, both or none; null when the address has an account already. */
export async function createAccount(db: Knex, account: NewAccount): Promise<Account | null> {
  try {
    return await withTenant(db, account.tenantId, async (trx) => {
      const tenant = await Tenant.query(trx)
        .insert({
          id: account.tenantId,
          name: account.companyName,
          timeZone: account.timeZone,
          defaultLanguage: account.language,
        })
        .returning('*');
      const user = await User.query(trx)
        .insert({
          id: account.userId,
          tenantId: account.tenantId,
          email: account.email,
          passwordHash: account.passwordHash,
          firstName: account.firstName,
          lastName: account.lastName,
          timeZone: account.timeZone,
          language: account.language,
          role: 'owner',
        })
        .returning('*');
      return { tenant, user };
    });
  } catch (error) {
    // The primary keys collide too when the same registration is sent twice.
    const broken = brokenUniqueConstraint(error);
    if (broken === 'users_email' || broken === 'users_id' || broken === 'tenants_pkey') {
      return null;
    }
    throw error;
  }
}

/** The account of an address. Who logs in has not said which tenant is theirs. */
export function findAccountByEmail(db: Knex, email: string): Promise<Account | null> {
  return acrossTenants(db, 'login', async (trx) => {
    const user = await User.query(trx).whereRaw('lower(email) = lower(?)', [email]).first();
    return user === undefined ? null : withTenantRow(trx, user);
  });
}

/** The account of a user in their tenant. */
export async function findAccount(
  trx: Knex.Transaction,
  ids: { tenantId: string; userId: string },
): Promise<Account | null> {
  const user = await User.query(trx).findById([ids.tenantId, ids.userId]);
  return user === undefined ? null : withTenantRow(trx, user);
}

/** Remembers that the user came in now. */
export async function recordLogin(db: Knex, user: User): Promise<void> {
  await withTenant(db, user.tenantId, async (trx) =>
    User.query(trx)
      .where({ tenant_id: user.tenantId, id: user.id })
      .patch({ lastLoginAt: trx.fn.now() }),
  );
}

async function withTenantRow(trx: Knex.Transaction, user: User): Promise<Account> {
  return { user, tenant: await Tenant.query(trx).findById(user.tenantId).throwIfNotFound() };
}
