import { isRole, permissionsOf } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import { acrossTenants } from '../base';

/** Somebody who is signed in at the codec server, and whose payloads they may read. */
export interface PayloadReader {
  sessionId: string;
  userId: string;
  email: string;
  /** Reads everything. */
  isPlatformAdmin: boolean;
  /** The tenants whose payloads they read beside that, the one they joined first before others. */
  tenants: readonly { id: string; name: string }[];
}

/** A working day; there is nothing that refreshes it. */
export const codecSessionHours = 12;

/** Begins a session at the codec server. It opens nothing else. */
export async function openCodecSession(
  trx: Knex.Transaction,
  session: {
    id: string;
    userId: string;
    mfaAt: Date | null;
    ip: string | null;
    userAgent: string | null;
  },
): Promise<void> {
  await trx('sessions').insert({
    id: session.id,
    user_id: session.userId,
    kind: 'codec',
    mfa_at: session.mfaAt,
    ip: session.ip,
    user_agent: session.userAgent,
    expires_at: trx.raw(`now() + make_interval(hours => ${codecSessionHours})`),
  });
  await trx('users').where({ id: session.userId }).update({ last_login_at: trx.fn.now() });
}

/**
 * Who a session is of, and what they may read at this moment: null when it is over, its person is
 * suspended or has a one-time password to replace. A tenant that is suspended shows its payloads to platform admins alone.
 */
export async function findPayloadReader(
  db: Knex,
  sessionId: string,
): Promise<PayloadReader | null> {
  const rows: ReaderRow[] = await acrossTenants(db, 'identity', async (trx) => {
    const found = await trx.raw(
      `select s.user_id as "userId", u.email, u.is_platform_admin as "isPlatformAdmin",
              t.id as "tenantId", t.name as "tenantName", m.role
         from sessions s
         join users u on u.id = s.user_id
         left join (memberships m join tenants t on t.id = m.tenant_id and t.suspended_at is null)
           on m.user_id = u.id
        where s.id = ? and s.kind = 'codec' and s.revoked_at is null and s.expires_at > now()
          and u.suspended_at is null and u.password_expires_at is null
        order by m.created_at, t.id`,
      [sessionId],
    );
    return found.rows;
  });
  const [first] = rows;
  if (first === undefined) {
    return null;
  }
  const { userId, email, isPlatformAdmin } = first;
  return { sessionId, userId, email, isPlatformAdmin, tenants: rows.flatMap(readableTenant) };
}

/** Ends a session; false for one that was over already. */
export async function closeCodecSession(
  trx: Knex.Transaction,
  sessionId: string,
): Promise<boolean> {
  const closed = await trx('sessions')
    .where({ id: sessionId, kind: 'codec', revoked_at: null })
    .update({ revoked_at: trx.fn.now(), revoked_reason: 'logout' });
  return closed > 0;
}

/** Remembers that the session was used, at most once a minute: a page of the UI asks a hundred times. */
export async function touchCodecSession(trx: Knex.Transaction, sessionId: string): Promise<void> {
  await trx('sessions')
    .where({ id: sessionId })
    .whereRaw(`last_used_at < now() - interval '1 minute'`)
    .update({ last_used_at: trx.fn.now() });
}

interface ReaderRow {
  userId: string;
  email: string;
  isPlatformAdmin: boolean;
  tenantId: string | null;
  tenantName: string | null;
  role: string | null;
}

function readableTenant({ tenantId, tenantName, role }: ReaderRow): { id: string; name: string }[] {
  return tenantId !== null &&
    tenantName !== null &&
    role !== null &&
    isRole(role) &&
    permissionsOf(role).has('workflow:decode')
    ? [{ id: tenantId, name: tenantName }]
    : [];
}
