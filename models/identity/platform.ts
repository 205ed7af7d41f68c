import type { QueryBuilder } from 'objection';
import { conflict, notFound } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import {
  holdTenant,
  pauseOpenRuns,
  releaseTenant,
  type TurnedCampaign,
} from '../campaigns/heldRuns';
import type { SortKey } from '../pages';
import { findSubscription } from './subscriptions';
import { Tenant } from './Tenant';
import { User } from './User';
import { endUserTokens } from './userTokens';

/** A tenant as the platform's admins see it. */
export class PlatformTenant extends Tenant {
  declare memberCount: number;
  declare openRunCount: number;
}

export const platformTenantSorts = {
  createdAt: { by: 'tenants.created_at', type: 'timestamptz' },
  name: { by: 'lower(tenants.name)', type: 'text' },
} as const satisfies Record<string, SortKey>;

export interface PlatformFilters {
  /** A part of the name or address, in any case. */
  search?: string | undefined;
  suspended?: boolean | undefined;
}

/** All tenants, but for the platform's own, which is nobody's. */
export function allTenants(
  trx: Knex.Transaction,
  { search, suspended }: PlatformFilters = {},
): QueryBuilder<PlatformTenant, PlatformTenant[]> {
  const query = PlatformTenant.query(trx).select(
    trx.raw(`(select count(*) from memberships m where m.tenant_id = tenants.id) as member_count`),
    trx.raw(`(select count(*) from campaign_runs r
               where r.tenant_id = tenants.id and r.kind = 'campaign'
                 and r.state in ('planning', 'waiting', 'sending')) as open_run_count`),
  );
  query.whereRaw('not tenants.is_platform');
  if (search !== undefined) {
    query.whereRaw(`strpos(lower(tenants.name), lower(?)) > 0`, [search]);
  }
  if (suspended !== undefined) {
    query.whereRaw(`tenants.suspended_at is ${suspended ? 'not null' : 'null'}`);
  }
  return query;
}

/** One of them, or notFound. */
export async function requirePlatformTenant(
  trx: Knex.Transaction,
  id: string,
): Promise<PlatformTenant> {
  const tenant = await allTenants(trx).select('tenants.*').findById(id);
  if (tenant === undefined) {
    throw notFound('tenant');
  }
  return tenant;
}

/** What a suspension or its end did; no change when it was so before. */
export interface Turned {
  isChanged: boolean;
  campaigns: TurnedCampaign[];
}

/**
 * Suspends a tenant: from the commit on nobody works in it and nothing of it leaves. What came in
 * about messages that have left goes on to be counted, and people can go on to unsubscribe.
 */
export async function suspendTenant(
  trx: Knex.Transaction,
  { id, reason }: { id: string; reason: string },
): Promise<Turned> {
  const tenant = await lockTenant(trx, id);
  if (tenant.suspendedAt !== null) {
    return { isChanged: false, campaigns: [] };
  }
  await Tenant.query(trx)
    .findById(id)
    .patch({ suspendedAt: new Date(), suspendedReason: reason, updatedAt: new Date() });
  return { isChanged: true, campaigns: await holdTenant(trx, id) };
}

/**
 * Lets a tenant go on, with what its suspension paused and nothing else. One that its owner had ended
 * comes back, too; what was cancelled by that stays cancelled.
 */
export async function resumeTenant(trx: Knex.Transaction, id: string): Promise<Turned> {
  const tenant = await lockTenant(trx, id);
  if (tenant.suspendedAt === null) {
    return { isChanged: false, campaigns: [] };
  }
  await Tenant.query(trx)
    .findById(id)
    .patch({ suspendedAt: null, suspendedReason: null, endedAt: null, updatedAt: new Date() });
  const campaigns = await releaseTenant(trx, id);
  const { status } = await findSubscription(trx, id);
  if (status === 'expired') {
    // It ran out meanwhile, and found nothing to pause.
    await pauseOpenRuns(trx, [id], 'planExpired');
  }
  return { isChanged: true, campaigns };
}

// Rows that name a tenant go on being written meanwhile: their foreign keys wait for no change of it.
async function lockTenant(trx: Knex.Transaction, id: string): Promise<Tenant> {
  const tenant = await Tenant.query(trx)
    .findById(id)
    .where({ is_platform: false })
    .forNoKeyUpdate();
  if (tenant === undefined) {
    throw notFound('tenant');
  }
  return tenant;
}

export const platformUserSorts = {
  createdAt: { by: 'users.created_at', type: 'timestamptz' },
  email: { by: 'users.email_key', type: 'text' },
} as const satisfies Record<string, SortKey>;

/** All people who have an account. */
export function allUsers(
  trx: Knex.Transaction,
  { search, suspended }: PlatformFilters = {},
): QueryBuilder<User, User[]> {
  const query = User.query(trx);
  if (search !== undefined) {
    query.whereRaw(`strpos(users.email_key, lower(?)) > 0`, [search]);
  }
  if (suspended !== undefined) {
    query.whereRaw(`users.suspended_at is ${suspended ? 'not null' : 'null'}`);
  }
  return query;
}

/** One of them, or notFound. */
export async function requireUser(trx: Knex.Transaction, id: string): Promise<User> {
  return orNotFound(await User.query(trx).findById(id));
}

/** Suspends a person everywhere: all of their sessions end, and keys they made open nothing. */
export async function suspendUser(
  trx: Knex.Transaction,
  { id, reason, actorId }: { id: string; reason: string; actorId: string },
): Promise<{ isChanged: boolean }> {
  if (id === actorId) {
    throw conflict('ownAccount', 'Another admin has to suspend this account: it is yours.');
  }
  const user = orNotFound(await User.query(trx).findById(id).forUpdate());
  if (user.suspendedAt !== null) {
    return { isChanged: false };
  }
  await User.query(trx)
    .findById(id)
    .patch({ suspendedAt: new Date(), suspendedReason: reason, updatedAt: new Date() });
  await trx.raw(
    `update sessions set revoked_at = clock_timestamp(), revoked_reason = 'suspended'
      where (user_id = :id or impersonated_by = :id) and revoked_at is null`,
    { id },
  );
  await endUserTokens(trx, id, ['resetPassword', 'mfaLogin']);
  return { isChanged: true };
}

/** Lets a suspended person sign in again. */
export async function resumeUser(
  trx: Knex.Transaction,
  id: string,
): Promise<{ isChanged: boolean }> {
  const user = orNotFound(await User.query(trx).findById(id).forUpdate());
  if (user.suspendedAt === null) {
    return { isChanged: false };
  }
  await User.query(trx)
    .findById(id)
    .patch({ suspendedAt: null, suspendedReason: null, updatedAt: new Date() });
  return { isChanged: true };
}

function orNotFound(user: User | undefined): User {
  if (user === undefined) {
    throw notFound('user');
  }
  return user;
}

/** How much there is on the platform. */
export interface PlatformStats {
  tenants: number;
  suspendedTenants: number;
  users: number;
  suspendedUsers: number;
  openRuns: number;
  sendingRuns: number;
}

export async function countPlatform(trx: Knex.Transaction): Promise<PlatformStats> {
  const counted = await trx.raw(
    `select t.tenants, t."suspendedTenants", u.users, u."suspendedUsers", r."openRuns",
            r."sendingRuns"
       from (select count(*) filter (where ended_at is null) as tenants,
                    count(*) filter (where suspended_at is not null and ended_at is null)
                      as "suspendedTenants"
               from tenants where not is_platform) t,
            (select count(*) as users,
                    count(*) filter (where suspended_at is not null) as "suspendedUsers"
               from users) u,
            (select count(*) as "openRuns",
                    count(*) filter (where state = 'sending') as "sendingRuns"
               from campaign_runs
              where kind = 'campaign' and state in ('planning', 'waiting', 'sending')) r`,
  );
  return counted.rows[0];
}
