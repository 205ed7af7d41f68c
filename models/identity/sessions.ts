import type { QueryBuilder } from 'objection';
import type { Role } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import type { NewToken } from '../../lib/tokens';
import { acrossTenants, acrossTenantsInOneTrip } from '../base';
import type { SortKey } from '../pages';
import { Session } from './Session';

/** How long a session lasts that nobody refreshes. */
export const sessionDays = 7;

export interface NewSession {
  id: string;
  userId: string;
  tenantId: string | null;
  mfaAt?: Date | null;
  impersonatedBy?: string | null;
  ip?: string | null;
  userAgent?: string | null;
  /** Seven days unless told otherwise. */
  lastsMinutes?: number;
}

/**
 * Begins a session, with its refresh token where one is given, and remembers that its person came in:
 * answers when. One statement, because a login waits for each.
 */
export async function openSession(
  trx: Knex.Transaction,
  { lastsMinutes = sessionDays * 24 * 60, ...session }: NewSession,
  refreshToken?: NewToken,
): Promise<Date | null> {
  const opened = await trx.raw(
    `with opened as (
       insert into sessions (id, user_id, tenant_id, expires_at, mfa_at, impersonated_by, ip, user_agent)
       values (:id, :userId, :tenantId, now() + make_interval(mins => :lastsMinutes), :mfaAt,
               :impersonatedBy, :ip, :userAgent)
     ), token as (
       insert into refresh_tokens (hash, session_id)
       select cast(:hash as bytea), cast(:id as uuid) where cast(:hash as bytea) is not null
     )
     update users set last_login_at = now()
      where id = :userId and cast(:impersonatedBy as uuid) is null
     returning last_login_at as "lastLoginAt"`,
    {
      id: session.id,
      userId: session.userId,
      tenantId: session.tenantId,
      lastsMinutes,
      mfaAt: session.mfaAt ?? null,
      impersonatedBy: session.impersonatedBy ?? null,
      ip: session.ip ?? null,
      userAgent: session.userAgent ?? null,
      hash: refreshToken?.hash ?? null,
    },
  );
  const row: { lastLoginAt: Date } | undefined = opened.rows[0];
  return row?.lastLoginAt ?? null;
}

/** Writes a refresh token for the session. */
export async function writeRefreshToken(
  trx: Knex.Transaction,
  sessionId: string,
  { hash }: NewToken,
): Promise<void> {
  await trx.raw('insert into refresh_tokens (hash, session_id) values (?, ?)', [hash, sessionId]);
}

export type RevokedReason =
  | 'logout'
  | 'refreshReused'
  | 'passwordChanged'
  | 'passwordReset'
  | 'revoked'
  | 'suspended'
  | 'ended';

/**
 * Ends sessions of a person, with every token of them: the one that is named, all but the one that is
 * named, or all. Unless one is named that was just left, those in which an admin acts as somebody else
 * end as well. Answers the ids of those that were still going on.
 */
export async function revokeSessions(
  trx: Knex.Transaction,
  { userId, only, but }: { userId: string; only?: string; but?: string | null },
  reason: RevokedReason,
): Promise<string[]> {
  const withActing = only === undefined || reason === 'refreshReused';
  const revoked = await trx.raw(
    `update sessions set revoked_at = clock_timestamp(), revoked_reason = :reason
      where (user_id = :userId or (impersonated_by = :userId and :withActing))
        and revoked_at is null and expires_at > clock_timestamp()
        and (cast(:only as uuid) is null or id = :only or impersonated_by = :userId)
        and (cast(:but as uuid) is null or id <> :but)
     returning id`,
    { userId, reason, only: only ?? null, but: but ?? null, withActing },
  );
  return revoked.rows.map(({ id }: { id: string }) => id);
}

/** Its person has just shown again that it is them. */
export async function noteStepUp(trx: Knex.Transaction, sessionId: string): Promise<void> {
  await trx.raw('update sessions set mfa_at = clock_timestamp() where id = ?', [sessionId]);
}

/** A session is used: said at most once a minute, so that requests write nothing as a rule. */
export async function noteUse(db: Knex, sessionId: string, ip: string | null): Promise<void> {
  await acrossTenants(db, 'identity', (trx) =>
    trx.raw(
      `update sessions set last_used_at = now(), ip = coalesce(cast(:ip as inet), ip)
        where id = :sessionId and last_used_at < now() - interval '1 minute'`,
      { sessionId, ip },
    ),
  );
}

/** What a living session lets somebody be, right now. */
export interface Standing {
  /** What they are in the tenant; null when it is not theirs, or none was named. */
  role: Role | null;
  isTenantSuspended: boolean;
  isUserSuspended: boolean;
  isPlatformAdmin: boolean;
  /** They came in with a one-time password. */
  mustChangePassword: boolean;
  isEmailVerified: boolean;
  mfaAt: Date | null;
  impersonatorId: string | null;
  /** Whether it was not said within the last minute that the session is used. */
  isUseUnnoted: boolean;
}

/**
 * How somebody stands whose token names a session: null when it is over. Asked anew for each request,
 * so that a role that was taken, a suspension and a sign-out hold from that moment on.
 */
export async function findStanding(
  db: Knex,
  { sessionId, userId, tenantId }: { sessionId: string; userId: string; tenantId: string | null },
): Promise<Standing | null> {
  const raw = db
    .raw(
      `select case when t.ended_at is null then m.role end as role,
              t.suspended_at is not null as "isTenantSuspended",
              u.suspended_at is not null as "isUserSuspended",
              u.is_platform_admin as "isPlatformAdmin",
              u.password_expires_at is not null as "mustChangePassword",
              u.email_verified_at is not null as "isEmailVerified",
              s.mfa_at as "mfaAt", s.impersonated_by as "impersonatorId",
              s.last_used_at < now() - interval '1 minute' as "isUseUnnoted"
         from sessions s
         join users u on u.id = s.user_id
         left join users a on a.id = s.impersonated_by
         left join memberships m on m.user_id = s.user_id and m.tenant_id = :tenantId
         left join tenants t on t.id = m.tenant_id
        where s.id = :sessionId and s.user_id = :userId
          and s.revoked_at is null and s.expires_at > now()
          and (s.impersonated_by is null or (a.is_platform_admin and a.suspended_at is null))`,
      { sessionId, userId, tenantId },
    )
    .options({ name: 'findStanding' });
  const [rows] = await acrossTenantsInOneTrip(db, 'identity', [{ raw }], { arePlansKept: true });
  const standing: Standing | undefined = rows?.[0];
  return standing ?? null;
}

export const sessionSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  lastUsedAt: { by: 'last_used_at', type: 'timestamptz' },
} as const satisfies Record<string, SortKey>;

/** A person's sessions that are not over. */
export function sessionsOf(
  trx: Knex.Transaction,
  userId: string,
): QueryBuilder<Session, Session[]> {
  return Session.query(trx)
    .where({ user_id: userId })
    .whereNull('revoked_at')
    .whereRaw('expires_at > clock_timestamp()');
}
