import type { QueryBuilder } from 'objection';
import { AppError, conflict, notFound } from '../../domain/errors';
import type { Role } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import { brokenUniqueConstraint } from '../../lib/databaseErrors';
import { hashToken } from '../../lib/tokens';
import type { SortKey } from '../pages';
import { Invitation } from './Invitation';
import { membersOf } from './members';
import { Membership } from './Membership';
import { Tenant } from './Tenant';
import { User } from './User';

const lastsDays = 7;
const expiry = `now() + make_interval(days => ${lastsDays})`;

// Mail to strangers in the name of whoever asks: so many wait for an answer, and no two go to an
// address within a minute.
const mostOpen = 100;

interface Key {
  tenantId: string;
  id: string;
}

export const invitationSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  email: { by: 'email_key', type: 'text' },
} as const satisfies Record<string, SortKey>;

/** What was neither accepted nor taken back, also when its time is over. */
export function openInvitations(
  trx: Knex.Transaction,
  tenantId: string,
): QueryBuilder<Invitation, Invitation[]> {
  return Invitation.query(trx)
    .where({ tenant_id: tenantId })
    .whereNull('accepted_at')
    .whereNull('revoked_at');
}

/**
 * Invites whoever has the address. A row with this id was written by the same request before it could
 * answer; its mail may not have left, so that it gets this token.
 *
 * @throws conflict alreadyMember, alreadyInvited, tooManyInvitations; rateLimited invitationJustSent
 */
export async function invite(
  trx: Knex.Transaction,
  invitation: Key & { email: string; role: Role; invitedBy: string; hash: Buffer },
): Promise<Invitation> {
  const { tenantId, id, email } = invitation;
  const members = membersOf(trx, tenantId).whereRaw('users.email_key = lower(?)', [email]);
  if ((await members.resultSize()) > 0) {
    throw conflict('alreadyMember', 'Somebody with this address works in the tenant already.');
  }
  await trx.raw(
    `update invitations set revoked_at = now()
      where tenant_id = ? and email_key = lower(?) and accepted_at is null and revoked_at is null
        and expires_at <= now()`,
    [tenantId, email],
  );
  if ((await openInvitations(trx, tenantId).resultSize()) >= mostOpen) {
    throw conflict('tooManyInvitations', 'Too many invitations are open; take some back first.');
  }
  await requireNoneJustSent(trx, invitation);
  try {
    // A savepoint: who reads the error must still be able to ask something.
    await trx.transaction((inner) =>
      inner.raw(
        `insert into invitations (tenant_id, id, email, role, hash, invited_by, expires_at)
         values (:tenantId, :id, :email, :role, :hash, :invitedBy, ${expiry})
         on conflict (tenant_id, id) do update set hash = excluded.hash
          where invitations.accepted_at is null and invitations.revoked_at is null`,
        { ...invitation },
      ),
    );
  } catch (error) {
    if (brokenUniqueConstraint(error) === 'invitations_open') {
      throw conflict('alreadyInvited', 'This address is invited; send the invitation again.');
    }
    throw error;
  }
  return requireInvitation(trx, { tenantId, id });
}

// One that was taken back has been read all the same; what is open is refused by its row. When it was
// sent last shows in when it ends.
async function requireNoneJustSent(
  trx: Knex.Transaction,
  { tenantId, id, email }: Key & { email: string },
): Promise<void> {
  const sent = await trx.raw(
    `select from invitations
      where tenant_id = :tenantId and email_key = lower(:email) and id <> :id
        and (revoked_at is not null or accepted_at is not null)
        and expires_at > ${expiry} - interval '1 minute'
      limit 1`,
    { tenantId, id, email },
  );
  if (sent.rowCount > 0) {
    throw justSent();
  }
}

function justSent(): AppError {
  return new AppError(
    'rateLimited',
    'invitationJustSent',
    'The invitation was sent less than a minute ago.',
    { retryAfterSeconds: 60 },
  );
}

/** The open invitation, or notFound. */
export async function requireInvitation(trx: Knex.Transaction, key: Key): Promise<Invitation> {
  const invitation = await openInvitations(trx, key.tenantId).where({ id: key.id }).first();
  if (invitation === undefined) {
    throw notFound('invitation');
  }
  return invitation;
}

/**
 * Gives an invitation another token and its full time anew; the token before opens nothing any more.
 *
 * @throws rateLimited invitationJustSent
 */
export async function renewInvitation(
  trx: Knex.Transaction,
  key: Key,
  hash: Buffer,
): Promise<Invitation> {
  await requireInvitation(trx, key);
  const renewed = await trx.raw(
    `update invitations set hash = :hash, expires_at = ${expiry}
      where tenant_id = :tenantId and id = :id and accepted_at is null and revoked_at is null
        and expires_at <= ${expiry} - interval '1 minute'`,
    { ...key, hash },
  );
  if (renewed.rowCount === 0) {
    throw justSent();
  }
  return requireInvitation(trx, key);
}

/** Takes an open invitation back. */
export async function revokeInvitation(trx: Knex.Transaction, key: Key): Promise<Invitation> {
  const invitation = await requireInvitation(trx, key);
  await trx.raw('update invitations set revoked_at = now() where tenant_id = ? and id = ?', [
    key.tenantId,
    key.id,
  ]);
  return invitation;
}

/** An invitation that can be accepted, and whether its address has an account. */
export interface FoundInvitation extends Key {
  email: string;
  role: Role;
  tenant: Tenant;
  user: User | null;
}

/** The invitation whose token it is, while it is good; it stays so. Null for any other token. */
export async function findInvitation(
  trx: Knex.Transaction,
  token: string,
): Promise<FoundInvitation | null> {
  const invitation = await Invitation.query(trx)
    .where({ hash: hashToken(token) })
    .whereNull('accepted_at')
    .whereNull('revoked_at')
    .whereRaw('expires_at > now()')
    .first();
  if (invitation === undefined) {
    return null;
  }
  const { tenantId, id, email, role } = invitation;
  const tenant = await Tenant.query(trx).findById(tenantId).throwIfNotFound();
  const user = await User.query(trx).whereRaw('email_key = lower(?)', [email]).first();
  return tenant.suspendedAt === null
    ? { tenantId, id, email, role, tenant, user: user ?? null }
    : null;
}

/**
 * Accepts an invitation for a person whose it is known to be: of many at once one does. Somebody who
 * came to work there meanwhile keeps the role they have. False when it is over.
 */
export async function acceptInvitation(
  trx: Knex.Transaction,
  { token, userId }: { token: string; userId: string },
): Promise<boolean> {
  const accepted = await trx.raw(
    `update invitations set accepted_at = now(), accepted_by = :userId
      where hash = :hash and accepted_at is null and revoked_at is null and expires_at > now()
     returning tenant_id as "tenantId", role`,
    { hash: hashToken(token), userId },
  );
  const invitation: { tenantId: string; role: Role } | undefined = accepted.rows[0];
  if (invitation === undefined) {
    return false;
  }
  await Membership.query(trx)
    .insert({ tenantId: invitation.tenantId, userId, role: invitation.role })
    .onConflict(['tenant_id', 'user_id'])
    .ignore();
  // The token came by mail to that address.
  await trx.raw(
    `update users set email_verified_at = coalesce(email_verified_at, now())
      where id = :userId`,
    { userId },
  );
  return true;
}

/**
 * Writes a person who comes by an invitation; false when the address has an account by now. Without a
 * tenant of their own they begin in the one they were invited to.
 */
export async function createInvitedUser(
  trx: Knex.Transaction,
  person: {
    id: string;
    email: string;
    passwordHash: string;
    firstName: string | null;
    lastName: string | null;
    language: string | null;
    timeZone: string | null;
  },
): Promise<boolean> {
  const written = await trx.raw(
    `insert into users (id, email, password_hash, first_name, last_name, language, time_zone)
     values (:id, :email, :passwordHash, :firstName, :lastName, :language, :timeZone)
     on conflict do nothing`,
    { ...person },
  );
  return written.rowCount > 0;
}
