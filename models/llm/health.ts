import {
  subjectId,
  type Health,
  type HealthActor,
  type HealthEvent,
  type HealthEvidence,
  type HealthSubject,
} from '../../domain/llm/health';
import { applyToPool, endings, type HealthChange } from '../../domain/llm/poolHealth';
import { platformPool } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { healthJson, ms } from './pools';

/** Something that was learned about a subject of a pool. */
export type PoolEvent = HealthEvent & { readonly poolId: string };

/** What became of a pool. */
export interface AppliedPool {
  readonly poolId: string;
  /** The pool's version with these changes, once they are committed. */
  readonly version: number;
  readonly changes: readonly HealthChange[];
  /** All that is not well in it, after them. */
  readonly health: readonly Health[];
  /** Accounts whose keys may stand otherwise now. */
  readonly accountIds: readonly string[];
  /** Whether some account could be used before these changes, and none can after them. */
  readonly wentDown: boolean;
}

/**
 * Writes what was learned, in the order it is given, and what it changed into the history. It holds
 * the pools' rows until the transaction ends, so that whoever learns something else at the same time
 * builds on this. What is said of keys and accounts that are gone is dropped; saying it twice changes
 * nothing more. For transactions of the purpose `llmRing`.
 */
export async function applyHealth(
  trx: Knex.Transaction,
  events: readonly PoolEvent[],
): Promise<AppliedPool[]> {
  const pools = await lockPools(trx, [...new Set(events.map(({ poolId }) => poolId))]);
  const applied = pools.map((pool) => {
    const keyIds = new Set(pool.keyIds);
    const known = new Set([...pool.accountIds, ...pool.keyIds]);
    const heard = events.filter(
      ({ poolId, subject }) => poolId === pool.id && isKnown(known, subject),
    );
    const at = Math.max(...heard.map((event) => event.at));
    const couldServe = canServe(pool);
    const changes = [...endings(pool.rows.values(), at), ...heard].flatMap((event) =>
      applyToPool(pool.rows, event, { keyIds }),
    );
    return { pool, changes, wentDown: couldServe && !canServe(pool) };
  });
  await writeRows(trx, applied);
  const versions = await readVersions(
    trx,
    pools.map(({ id }) => id),
  );
  return applied.map(({ pool, changes, wentDown }) => ({
    poolId: pool.id,
    version: versions.get(pool.id) ?? 0,
    changes,
    health: [...pool.rows.values()],
    accountIds: changes.some(({ subject }) => subject.accountId === null)
      ? pool.accountIds
      : [...new Set(changes.flatMap(({ subject }) => subject.accountId ?? []))],
    wentDown,
  }));
}

/** What is not well in a pool, as it is written. */
export async function readHealth(trx: Knex.Transaction, poolId: string): Promise<Health[]> {
  const found = await trx.raw(
    `select ${healthJson} as health from llm_health
      where tenant_id is not distinct from cast(:tenantId as uuid) order by since, id`,
    { tenantId: tenantOf(poolId) },
  );
  return found.rows.map(({ health }: { health: Health }) => health);
}

/** One change of a subject's state. A state that is `well` has no row. */
export interface HealthTransition {
  readonly id: string;
  readonly at: number;
  readonly subject: HealthSubject;
  readonly from: string;
  readonly to: string;
  readonly reason: string | null;
  readonly until: number | null;
  readonly evidence: HealthEvidence;
  readonly actor: HealthActor;
}

/** What happened to an account and its keys, or to a key and its account: the newest first. */
export async function listTransitions(
  trx: Knex.Transaction,
  { accountId, keyId = null, limit }: { accountId: string; keyId?: string | null; limit: number },
): Promise<HealthTransition[]> {
  const found = await trx.raw(
    `select id, ${ms('at')} as at, jsonb_build_object('scope', scope, 'accountId', account_id,
              'keyId', key_id, 'model', model) as subject,
            from_state as "from", to_state as "to", reason, ${ms('until')} as until, evidence,
            jsonb_build_object('kind', actor_kind, 'id', actor_id) as actor
       from llm_transitions
      where account_id = :accountId
        and (cast(:keyId as uuid) is null or key_id is null or key_id = cast(:keyId as uuid))
      order by id desc limit :limit`,
    { accountId, keyId, limit },
  );
  return found.rows;
}

// What happened longer ago is another story.
const roundsWithin = '2 hours';
const newestTold = 200;

/** How often an account or a key came to be unwell for this reason lately. */
export async function countRounds(
  trx: Knex.Transaction,
  { subject, reason }: { subject: HealthSubject; reason: string },
): Promise<number> {
  const { scope, accountId, keyId } = subject;
  const found = await trx.raw(
    `select count(*)::int as rounds
       from (select * from llm_transitions where account_id = :accountId
              order by id desc limit :newestTold) t
      where t.scope = :scope and t.key_id is not distinct from cast(:keyId as uuid)
        and t.reason = :reason and t.to_state <> t.from_state and t.to_state <> 'well'
        and t.at > now() - cast(:roundsWithin as interval)`,
    { accountId, newestTold, scope, keyId, reason, roundsWithin },
  );
  return found.rows[0]?.rounds ?? 0;
}

interface LockedPool {
  readonly id: string;
  readonly tenantId: string | null;
  readonly accountIds: string[];
  readonly keyIds: string[];
  /** Keys that nobody took out of service, by a word or by a date. */
  readonly inService: { readonly keyId: string; readonly accountId: string }[];
  readonly rows: Map<string, Health>;
}

async function lockPools(trx: Knex.Transaction, ids: readonly string[]): Promise<LockedPool[]> {
  // In one order, so that no two wait for each other; read afterwards, to see what the last one wrote.
  await trx.raw('select 1 from llm_pools where id = any(?) order by id for update', [[...ids]]);
  const found = await trx.raw(
    `select p.id, p.tenant_id as "tenantId",
            array(select a.id from llm_accounts a
                   where coalesce(a.tenant_id, :platformPool) = p.id) as "accountIds",
            array(select k.id from llm_keys k where k.standing <> 'revoked'
                     and coalesce(k.tenant_id, :platformPool) = p.id) as "keyIds",
            coalesce((select jsonb_agg(jsonb_build_object('keyId', k.id, 'accountId', a.id))
                        from llm_keys k join llm_accounts a on a.id = k.account_id
                       where coalesce(k.tenant_id, :platformPool) = p.id
                         and k.standing in ('active', 'draining')
                         and a.standing in ('active', 'draining')
                         and (k.expires_at is null or k.expires_at > now())), '[]') as "inService",
            coalesce((select jsonb_agg(${healthJson}) from llm_health h
                       where coalesce(h.tenant_id, :platformPool) = p.id), '[]') as health
       from llm_pools p where p.id = any(:ids) order by p.id`,
    { ids: [...ids], platformPool },
  );
  const pools: (Omit<LockedPool, 'rows'> & { health: Health[] })[] = found.rows;
  return pools.map(({ health, ...pool }) => ({
    ...pool,
    rows: new Map(health.map((row) => [subjectId(row.subject), row])),
  }));
}

// Whatever drains still ends what it began, so somebody is there.
function canServe({ inService, rows }: LockedPool): boolean {
  const held = new Set(
    [...rows.values()]
      .filter(({ state, subject }) => state !== 'draining' && subject.model === null)
      .map(({ subject }) => subject.keyId ?? subject.accountId),
  );
  return inService.some(({ keyId, accountId }) => !held.has(keyId) && !held.has(accountId));
}

function isKnown(known: ReadonlySet<string>, { accountId, keyId }: HealthSubject): boolean {
  return (accountId === null || known.has(accountId)) && (keyId === null || known.has(keyId));
}

async function writeRows(
  trx: Knex.Transaction,
  applied: readonly { pool: LockedPool; changes: readonly HealthChange[] }[],
): Promise<void> {
  const changes = applied.flatMap(({ pool, changes: list }) =>
    list.map((change) => ({ ...change, tenantId: pool.tenantId })),
  );
  if (changes.length === 0) {
    return;
  }
  // Of several changes of one subject the last one stays.
  const last = new Map(
    changes.map((change) => [`${change.tenantId} ${subjectId(change.subject)}`, change]),
  );
  const ended = [...last.values()].filter(({ to }) => to === null);
  const kept = [...last.values()].flatMap(({ to, tenantId }) =>
    to === null ? [] : [{ ...to, ...to.subject, subject: null, tenantId }],
  );
  if (ended.length > 0) {
    await trx.raw(
      `delete from llm_health h using jsonb_to_recordset(cast(:ended as jsonb)) as e
         ("tenantId" uuid, scope text, "accountId" uuid, "keyId" uuid, model text)
        where h.tenant_id is not distinct from e."tenantId" and h.scope = e.scope
          and h.account_id is not distinct from e."accountId"
          and h.key_id is not distinct from e."keyId" and h.model is not distinct from e.model`,
      { ended: JSON.stringify(ended.map(({ subject, tenantId }) => ({ ...subject, tenantId }))) },
    );
  }
  if (kept.length > 0) {
    await trx.raw(
      `insert into llm_health (tenant_id, scope, account_id, key_id, model, state, reason, until,
         next_check_at, failures, evidence, since, updated_at)
       select k."tenantId", k.scope, k."accountId", k."keyId", k.model, k.state, k.reason,
              ${instant('k.until')}, ${instant('k."nextCheckAt"')}, k.failures, k.evidence,
              ${instant('k.since')}, ${instant('k."updatedAt"')}
         from jsonb_to_recordset(cast(:kept as jsonb)) as k
           ("tenantId" uuid, scope text, "accountId" uuid, "keyId" uuid, model text, state text,
            reason text, until float8, "nextCheckAt" float8, failures int, evidence jsonb,
            since float8, "updatedAt" float8)
       on conflict (tenant_id, scope, account_id, key_id, model) do update
         set state = excluded.state, reason = excluded.reason, until = excluded.until,
             next_check_at = excluded.next_check_at, failures = excluded.failures,
             evidence = excluded.evidence, since = excluded.since, updated_at = excluded.updated_at`,
      { kept: JSON.stringify(kept) },
    );
  }
  await trx.raw(
    `insert into llm_transitions (id, tenant_id, at, scope, account_id, key_id, model, from_state,
       to_state, reason, until, evidence, actor_kind, actor_id)
     select t.id, t."tenantId", ${instant('t.at')}, t.scope, t."accountId", t."keyId", t.model,
            t."from", t."to", t.reason, ${instant('t.until')}, t.evidence, t."actorKind", t."actorId"
       from jsonb_to_recordset(cast(:told as jsonb)) as t
         (id uuid, "tenantId" uuid, at float8, scope text, "accountId" uuid, "keyId" uuid,
          model text, "from" text, "to" text, reason text, until float8, evidence jsonb,
          "actorKind" text, "actorId" uuid)`,
    { told: JSON.stringify(changes.filter(isTold).map(told)) },
  );
}

// A look that found everything as it was is no event.
function isTold({ from, to }: HealthChange): boolean {
  return from?.state !== to?.state || from?.reason !== to?.reason || from?.until !== to?.until;
}

function told({ event, subject, from, to, tenantId }: HealthChange & { tenantId: string | null }) {
  return {
    id: newId(),
    tenantId,
    at: event.at,
    ...subject,
    from: from?.state ?? 'well',
    to: to?.state ?? 'well',
    reason: to?.reason ?? from?.reason ?? null,
    until: to?.until ?? null,
    evidence: to?.evidence ?? {},
    actorKind: event.actor.kind,
    actorId: event.actor.id,
  };
}

async function readVersions(
  trx: Knex.Transaction,
  ids: readonly string[],
): Promise<Map<string, number>> {
  const found = await trx.raw(
    'select id, ring_version as version from llm_pools where id = any(?)',
    [[...ids]],
  );
  const rows: { id: string; version: number }[] = found.rows;
  return new Map(rows.map(({ id, version }) => [id, version]));
}

function instant(column: string): string {
  return `to_timestamp(${column} / 1000)`;
}

function tenantOf(poolId: string): string | null {
  return poolId === platformPool ? null : poolId;
}
