import type { Knex } from '../../lib/db';
import { hashToken, newToken } from '../../lib/tokens';
import { writeRefreshToken, revokeSessions, sessionDays } from './sessions';

/** What became of a refresh. */
export type Refreshed =
  | {
      kind: 'refreshed';
      userId: string;
      sessionId: string;
      tenantId: string | null;
      refreshToken: string;
    }
  | { kind: 'reused'; userId: string; sessionId: string; tenantId: string | null }
  | { kind: 'over' };

/** What may be told of one repeat of a refresh whose answer was lost. */
export interface Repeatable {
  /** Of the Idempotency-Key. */
  digest: Buffer;
  /** The same for the same token and key, and not to be guessed by who has the token alone. */
  successor: string;
}

const repeatableSeconds = 60;

interface PresentedToken {
  userId: string;
  sessionId: string;
  tenantId: string | null;
  isLiving: boolean;
  isUsed: boolean;
  usedWith: Buffer | null;
  isFresh: boolean;
}

/**
 * Exchanges a refresh token for the next one and lets the session last for its days anew. A token is
 * good once: who shows a used one, or who used it before, has stolen it, so the session is ended
 * (RFC 9700 §4.14.2). The one exception is a repeat with the same Idempotency-Key within a minute,
 * which only whoever asked first can make: it gets the same answer, unless that was used by now.
 */
export async function refreshSession(
  trx: Knex.Transaction,
  token: string,
  options: { repeatable: Repeatable | null; ip: string | null; userAgent: string | null },
): Promise<Refreshed> {
  const { repeatable } = options;
  const hash = hashToken(token);
  const shown = await findToken(trx, hash);
  if (shown?.isLiving !== true) {
    return { kind: 'over' };
  }
  const { userId, sessionId, tenantId } = shown;
  if (!shown.isUsed) {
    const next =
      repeatable === null
        ? newToken()
        : { token: repeatable.successor, hash: hashToken(repeatable.successor) };
    await trx.raw(
      'update refresh_tokens set used_at = clock_timestamp(), used_with = :digest where hash = :hash',
      { hash, digest: repeatable?.digest ?? null },
    );
    await trx.raw(
      `update sessions
          set expires_at = clock_timestamp() + make_interval(days => ${sessionDays}),
              last_used_at = clock_timestamp(), ip = coalesce(cast(:ip as inet), ip),
              user_agent = coalesce(:userAgent, user_agent)
        where id = :sessionId`,
      { sessionId, ip: options.ip, userAgent: options.userAgent },
    );
    await writeRefreshToken(trx, sessionId, next);
    return { kind: 'refreshed', userId, sessionId, tenantId, refreshToken: next.token };
  }
  if (repeatable !== null && (await isRepeat(trx, shown, repeatable))) {
    return { kind: 'refreshed', userId, sessionId, tenantId, refreshToken: repeatable.successor };
  }
  await revokeSessions(trx, { userId, only: sessionId }, 'refreshReused');
  return { kind: 'reused', userId, sessionId, tenantId };
}

/** Kept from others until the transaction ends: of two who show it at once, one is the second. */
async function findToken(trx: Knex.Transaction, hash: Buffer): Promise<PresentedToken | undefined> {
  const found = await trx.raw(
    `select s.user_id as "userId", s.id as "sessionId", s.tenant_id as "tenantId",
            s.revoked_at is null and s.expires_at > clock_timestamp() as "isLiving",
            r.used_at is not null as "isUsed", r.used_with as "usedWith",
            coalesce(r.used_at > clock_timestamp() - make_interval(secs => ${repeatableSeconds}),
              false) as "isFresh"
       from refresh_tokens r join sessions s on s.id = r.session_id
      where r.hash = :hash
        for update`,
    { hash },
  );
  return found.rows[0];
}

async function isRepeat(
  trx: Knex.Transaction,
  { usedWith, isFresh }: PresentedToken,
  { digest, successor }: Repeatable,
): Promise<boolean> {
  if (!isFresh || usedWith === null || !usedWith.equals(digest)) {
    return false;
  }
  const unused = await trx.raw(
    'select 1 from refresh_tokens where hash = :hash and used_at is null',
    { hash: hashToken(successor) },
  );
  return unused.rows.length > 0;
}
