import type {
  AccountSeen,
  EvidenceSeen,
  HealthSeen,
  KeySeen,
  TransitionSeen,
} from '../../domain/llm/keyrings/types';
import type { Knex } from '../../lib/db';

/** As many as say why something is as it is; the rest stays in the table. */
export const transitionsKept = 40;
export const wordsKept = 10;
// A revoked key is shown for as long as people ask where it went, unless there were many since.
const revokedShownDays = 7;
const revokedShown = 50;

/** Which account a row is of. */
export interface OfAccount<Id = string> {
  accountId: Id;
}

/** Accounts of an owner, in the order in which they were added. */
export async function readAccounts(
  trx: Knex.Transaction,
  ownerId: string | null,
): Promise<AccountSeen[]> {
  const rows = await trx('llm_accounts')
    .where({ tenant_id: ownerId })
    .orderBy('id')
    .select(
      'id',
      'tenant_id',
      'name',
      'vendor',
      'has_management_key',
      'balance_micros',
      'balance_at',
      'balance_floor_micros',
      ...standingColumns,
    );
  return rows.map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    vendor: row.vendor,
    hasManagementKey: row.has_management_key,
    balanceMicros: row.balance_micros,
    balanceAt: isoOf(row.balance_at),
    balanceFloorMicros: row.balance_floor_micros,
    ...standingOf(row),
  }));
}

const standingColumns = ['standing', 'standing_reason', 'standing_by', 'standing_at'] as const;

/** Keys of an owner; those that were revoked for as long as people ask where they went. */
export async function readKeys(
  trx: Knex.Transaction,
  ownerId: string | null,
): Promise<(KeySeen & OfAccount)[]> {
  const rows = await trx('llm_keys as k')
    .where({ 'k.tenant_id': ownerId })
    .whereRaw(
      `(k.standing <> 'revoked' or k.id in (
          select r.id from llm_keys r
           where r.tenant_id is not distinct from cast(? as uuid) and r.standing = 'revoked'
             and r.standing_at > now() - make_interval(days => ?)
           order by r.standing_at desc limit ?))`,
      [ownerId, revokedShownDays, revokedShown],
    )
    .orderByRaw('lower(k.label), k.id')
    .select(
      'k.id',
      'k.account_id',
      'k.label',
      'k.expires_at',
      'k.limit_micros',
      'k.limit_remaining_micros',
      'k.limit_reset',
      'k.limits_at',
      ...standingColumns.map((column) => `k.${column}`),
      trx.raw(
        `(select n.id from llm_keys n where n.replaces = k.id and n.account_id = k.account_id
           order by n.created_at desc limit 1) as replaced_by`,
      ),
    );
  return rows.map((row) => ({
    id: row.id,
    accountId: row.account_id,
    label: row.label,
    replacedBy: row.replaced_by,
    expiresAt: isoOf(row.expires_at),
    limitMicros: row.limit_micros,
    limitRemainingMicros: row.limit_remaining_micros,
    limitReset: row.limit_reset,
    limitsAt: isoOf(row.limits_at),
    ...standingOf(row),
  }));
}

/** What is not well of an owner's keys, accounts, models and platform. */
export async function readHealth(
  trx: Knex.Transaction,
  ownerId: string | null,
): Promise<(HealthSeen & OfAccount<string | null>)[]> {
  const rows = await trx('llm_health').where({ tenant_id: ownerId }).orderBy('since').select();
  return rows.map((row) => ({
    scope: row.scope,
    accountId: row.account_id,
    keyId: row.key_id,
    model: row.model,
    state: row.state,
    reason: row.reason,
    until: isoOf(row.until),
    nextCheckAt: isoOf(row.next_check_at),
    failures: row.failures,
    since: row.since.toISOString(),
    evidence: seenEvidence(row.evidence),
  }));
}

/** Something that happened, whether it was a person's word, and to which account. */
export interface TransitionRow {
  accountId: string;
  isWord: boolean;
  seen: TransitionSeen;
}

/** What happened to accounts and their keys, the newest first: as much as says why they stand so. */
export async function readTransitions(
  trx: Knex.Transaction,
  accountIds: readonly string[],
): Promise<TransitionRow[]> {
  const { rows } = await trx.raw(
    `select t.*
       from unnest(cast(:accountIds as uuid[])) as a (id)
      cross join lateral (
        (select *, false as is_word from llm_transitions
          where account_id = a.id and actor_kind <> 'user' order by id desc limit :kept)
        union all
        (select *, true as is_word from llm_transitions
          where account_id = a.id and actor_kind = 'user' order by id desc limit :words)
      ) t
      order by t.at desc, t.id desc`,
    { accountIds, kept: transitionsKept, words: wordsKept },
  );
  return rows.map((row: StoredTransition) => ({
    accountId: row.account_id,
    isWord: row.is_word,
    seen: {
      at: row.at.toISOString(),
      scope: row.scope,
      keyId: row.key_id,
      model: row.model,
      fromState: row.from_state,
      toState: row.to_state,
      reason: row.reason,
      until: isoOf(row.until),
      actorKind: row.actor_kind,
      actorId: row.actor_id,
      evidence: seenEvidence(row.evidence),
    },
  }));
}

interface StoredTransition {
  account_id: string;
  is_word: boolean;
  at: Date;
  scope: TransitionSeen['scope'];
  key_id: string | null;
  model: string | null;
  from_state: string;
  to_state: string;
  reason: string | null;
  until: Date | null;
  actor_kind: TransitionSeen['actorKind'];
  actor_id: string | null;
  evidence: EvidenceSeen;
}

// Whatever else evidence may hold, the vendor's own words among it, stays in the table.
function seenEvidence({
  status,
  code,
  retryAfterMs,
  resetsAt,
  verify,
}: EvidenceSeen): EvidenceSeen {
  const told = { status, code, retryAfterMs, resetsAt, verify };
  return Object.fromEntries(
    Object.entries(told).filter(([, value]) => value !== undefined && value !== null),
  );
}

function standingOf(row: {
  standing: AccountSeen['standing'];
  standing_reason: string | null;
  standing_by: string | null;
  standing_at: Date;
}) {
  return {
    standing: row.standing,
    standingReason: row.standing_reason,
    standingBy: row.standing_by,
    standingAt: row.standing_at.toISOString(),
  };
}

function isoOf(at: Date | null): string | null {
  return at === null ? null : at.toISOString();
}
