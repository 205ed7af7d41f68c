import type { QueryBuilder } from 'objection';
import { AppError, conflict, notFound } from '../../domain/errors';
import { permissionsOf, type Role, type TenantAction } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { Membership } from './Membership';

/** Somebody who works in a tenant. */
export class Member extends Membership {
  declare email: string;
  declare firstName: string | null;
  declare lastName: string | null;
  declare lastLoginAt: Date | null;
  declare mfaEnabledAt: Date | null;
  declare emailVerifiedAt: Date | null;
  declare suspendedAt: Date | null;
}

export const memberSorts = {
  memberSince: { by: 'memberships.created_at', type: 'timestamptz' },
  email: { by: 'users.email_key', type: 'text' },
} as const satisfies Record<string, SortKey>;

const shown = [
  'email',
  'first_name',
  'last_name',
  'last_login_at',
  'mfa_enabled_at',
  'email_verified_at',
  'suspended_at',
].map((column) => `users.${column}`);

/** Who works in the tenant, as `role` or as anything. */
export function membersOf(
  trx: Knex.Transaction,
  tenantId: string,
  { role }: { role?: Role | undefined } = {},
): QueryBuilder<Member, Member[]> {
  const query = Member.query(trx)
    .join('users', 'users.id', 'memberships.user_id')
    .where('memberships.tenant_id', tenantId)
    .select(shown);
  return role === undefined ? query : query.where('memberships.role', role);
}

/** One of them, or notFound. */
export async function requireMember(
  trx: Knex.Transaction,
  { tenantId, userId }: MemberKey,
): Promise<Member> {
  const [member] = await membersOf(trx, tenantId)
    .select('memberships.*')
    .where('memberships.user_id', userId);
  if (member === undefined) {
    throw notFound('user');
  }
  return member;
}

/**
 * Refuses whoever has lost the permission, or was signed out, while their request was still coming in:
 * a body may take its time. They keep the role they have until the transaction ends.
 *
 * @throws forbidden
 */
export async function requireStillAllowed(
  trx: Knex.Transaction,
  actor: MemberKey & { sessionId: string | null },
  action: TenantAction,
): Promise<void> {
  const membership = await Membership.query(trx)
    .findById([actor.tenantId, actor.userId])
    .forShare();
  const isAllowed = membership !== undefined && permissionsOf(membership.role).has(action);
  if (!isAllowed || (await isSignedOut(trx, actor.sessionId))) {
    throw new AppError('forbidden', 'forbidden', 'You may not do this any more.');
  }
}

async function isSignedOut(trx: Knex.Transaction, sessionId: string | null): Promise<boolean> {
  const over = await trx.raw('select 1 from sessions where id = ? and revoked_at is not null', [
    sessionId,
  ]);
  return over.rows.length > 0;
}

interface MemberKey {
  tenantId: string;
  userId: string;
}

/**
 * Gives a member another role.
 *
 * @throws notFound user, forbidden when whoever asks is an owner no more, conflict lastOwner when
 * nobody would be left to own the tenant
 */
export async function changeRole(
  trx: Knex.Transaction,
  key: MemberKey & { actorId: string; role: Role },
): Promise<{ before: Role }> {
  const members = await lockMembers(trx, key.tenantId);
  requireOwner(members, key.actorId);
  const before = roleOf(members, key.userId);
  if (key.role !== 'owner') {
    requireAnotherOwner(members, key.userId);
  }
  await Membership.query(trx)
    .findById([key.tenantId, key.userId])
    .patch({ role: key.role, updatedAt: new Date() });
  if (key.role !== 'owner') {
    await revokeInvitationsOf(trx, key);
  }
  return { before };
}

/**
 * Takes somebody out of the tenant: their tokens for it open nothing from the commit on. Whoever
 * leaves by themselves need not be an owner.
 *
 * @throws as `changeRole`
 */
export async function removeMember(
  trx: Knex.Transaction,
  key: MemberKey & { actorId: string },
): Promise<{ before: Role }> {
  const members = await lockMembers(trx, key.tenantId);
  if (key.actorId !== key.userId) {
    requireOwner(members, key.actorId);
  }
  const before = roleOf(members, key.userId);
  requireAnotherOwner(members, key.userId);
  await Membership.query(trx).deleteById([key.tenantId, key.userId]);
  await revokeInvitationsOf(trx, key);
  await trx.raw('update sessions set tenant_id = null where user_id = ? and tenant_id = ?', [
    key.userId,
    key.tenantId,
  ]);
  return { before };
}

// Whoever was an owner does not come back, or bring others, by what they sent out before.
async function revokeInvitationsOf(
  trx: Knex.Transaction,
  { tenantId, userId }: MemberKey,
): Promise<void> {
  await trx.raw(
    `update invitations set revoked_at = now()
      where tenant_id = :tenantId and invited_by = :userId
        and accepted_at is null and revoked_at is null`,
    { tenantId, userId },
  );
}

type Members = ReadonlyMap<string, Role>;

// All of a tenant's roles are changed one after the other: whoever counts owners counts them as they
// are, and an owner who has just been demoted changes nobody's role any more.
async function lockMembers(trx: Knex.Transaction, tenantId: string): Promise<Members> {
  const members = await Membership.query(trx)
    .where({ tenant_id: tenantId })
    .orderBy('user_id')
    .forUpdate();
  return new Map(members.map(({ userId, role }) => [userId, role]));
}

function roleOf(members: Members, userId: string): Role {
  const role = members.get(userId);
  if (role === undefined) {
    throw notFound('user');
  }
  return role;
}

function requireOwner(members: Members, actorId: string): void {
  if (members.get(actorId) !== 'owner') {
    throw new AppError('forbidden', 'forbidden', 'Only owners do this, and you are none any more.');
  }
}

function requireAnotherOwner(members: Members, userId: string): void {
  const hasAnother = [...members].some(([id, role]) => role === 'owner' && id !== userId);
  if (!hasAnother) {
    throw conflict('lastOwner', 'This is the last owner: make somebody else an owner first.');
  }
}
