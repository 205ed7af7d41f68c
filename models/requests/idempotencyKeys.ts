import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { withTenant } from '../base';
import { sealedPlace } from '../identity/sealedPlaces';

/** How long an answer is kept for a repeated request. */
export const keptHours = 24;

const lockSeconds = 60;

export interface Claim {
  tenantId: string;
  key: string;
  /** Method and path: the same key elsewhere is another request. */
  route: string;
  bodyDigest: Buffer;
  /** Names this attempt, so that one that was given up cannot finish it later. */
  claimedBy: string;
}

export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  body: string | null;
}

export type ClaimResult =
  /** It is ours to run. `firstAt` stays the same when the request is run again after a crash. */
  | { kind: 'claimed'; firstAt: Date }
  | { kind: 'answered'; answer: StoredAnswer }
  | { kind: 'running'; forSeconds: number }
  | { kind: 'otherRequest' };

interface Row {
  mine: boolean;
  same: boolean;
  state: 'running' | 'done';
  first_at: Date;
  lock_seconds: number;
  status: number | null;
  headers: Record<string, string> | null;
  body: string | null;
  sealed_body: string | null;
}

/**
 * Claims the key for this request. One statement decides between callers who come at once: a new
 * key, one past its 24 hours, or one whose owner let its lock run out is taken over.
 */
export async function claimKey(db: Knex, sealing: Sealing, claim: Claim): Promise<ClaimResult> {
  const row = await withTenant(db, claim.tenantId, async (trx) => {
    const values = {
      ...claim,
      lockSeconds,
      keptHours,
    };
    await trx.raw(
      `insert into idempotency_keys as k
         (tenant_id, key, route, request_hash, state, claimed_by, locked_until)
       values (:tenantId, :key, :route, :bodyDigest, 'running', :claimedBy,
               now() + make_interval(secs => :lockSeconds))
       on conflict (tenant_id, key) do update set
         route = excluded.route,
         request_hash = excluded.request_hash,
         state = 'running',
         claimed_by = excluded.claimed_by,
         locked_until = excluded.locked_until,
         status = null, headers = null, body = null, sealed_body = null,
         created_at = case when k.state = 'running' and k.created_at > now() - make_interval(hours => :keptHours)
                           then k.created_at else now() end
       where k.created_at <= now() - make_interval(hours => :keptHours)
          or (k.state = 'running' and k.locked_until < now()
              and k.route = excluded.route and k.request_hash = excluded.request_hash)`,
      values,
    );
    const found = await trx.raw<{ rows: Row[] }>(
      `select claimed_by = :claimedBy as mine,
              route = :route and request_hash = :bodyDigest as same,
              state, created_at as first_at, status, headers, body, sealed_body,
              ceil(extract(epoch from locked_until - now()))::int as lock_seconds
       from idempotency_keys where tenant_id = :tenantId and key = :key`,
      values,
    );
    return found.rows[0];
  });
  if (row === undefined) {
    // The owner freed the key between our two statements: the next try finds it free.
    return { kind: 'running', forSeconds: 1 };
  }
  if (row.mine) {
    return { kind: 'claimed', firstAt: row.first_at };
  }
  if (!row.same) {
    return { kind: 'otherRequest' };
  }
  if (row.state === 'running' || row.status === null) {
    return { kind: 'running', forSeconds: Math.max(1, row.lock_seconds) };
  }
  return {
    kind: 'answered',
    answer: {
      status: row.status,
      headers: row.headers ?? {},
      body: row.sealed_body === null ? row.body : sealing.open(row.sealed_body, placeOf(claim)),
    },
  };
}

/** Keeps a claim of a long request alive. */
export async function extendClaim(db: Knex, claim: Claim): Promise<void> {
  await withTenant(db, claim.tenantId, (trx) =>
    trx.raw(
      `update idempotency_keys set locked_until = now() + make_interval(secs => :lockSeconds)
       where tenant_id = :tenantId and key = :key and claimed_by = :claimedBy and state = 'running'`,
      { ...claim, lockSeconds },
    ),
  );
}

/**
 * Stores the answer that repeated requests get, its body sealed where it is nobody's to read; an
 * attempt that lost its claim stores nothing.
 */
export async function storeAnswer(
  db: Knex,
  claim: Claim,
  { status, headers, body }: StoredAnswer,
  sealing: Sealing | null,
): Promise<void> {
  const sealed = body === null || sealing === null ? null : sealing.seal(body, placeOf(claim));
  await withTenant(db, claim.tenantId, (trx) =>
    trx.raw(
      `update idempotency_keys
       set state = 'done', status = :status, headers = cast(:headers as jsonb),
           body = :body, sealed_body = :sealed
       where tenant_id = :tenantId and key = :key and claimed_by = :claimedBy and state = 'running'`,
      {
        ...claim,
        status,
        headers: JSON.stringify(headers),
        body: sealed === null ? body : null,
        sealed,
      },
    ),
  );
}

/**
 * Lets the next request with the key run, keeping the row: what a failed attempt may have written
 * has ids that were made from it.
 */
export async function releaseClaim(db: Knex, claim: Claim): Promise<void> {
  await withTenant(db, claim.tenantId, (trx) =>
    trx.raw(
      `update idempotency_keys set locked_until = now() - interval '1 second'
       where tenant_id = :tenantId and key = :key and claimed_by = :claimedBy and state = 'running'`,
      { ...claim },
    ),
  );
}

function placeOf({ tenantId, key }: Claim) {
  return sealedPlace('answers', { key: [tenantId, key], tenantId });
}

/** Forgets answers past their time; `trx` is one that may look across tenants. */
export async function forgetOldKeys(trx: Knex.Transaction): Promise<number> {
  const result = await trx.raw<{ rowCount: number }>(
    `delete from idempotency_keys where created_at < now() - make_interval(hours => ?)`,
    [keptHours],
  );
  return result.rowCount;
}
