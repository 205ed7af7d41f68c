import type {
  AccountSeen,
  EvidenceSeen,
  HealthSeen,
  KeyringSeen,
  KeySeen,
  TransitionSeen,
} from '../../domain/llm/keyrings/types';
import type { Knex } from '../../lib/db';
import type { OwnedId } from './accounts';

// As many as say why something is as it is; the rest stays in the table.
const transitionsKept = 40;
const wordsKept = 10;
// A revoked key is shown for as long as people ask where it went.
const revokedShownDays = 7;

/** An account as its keyring sees it; null where it is gone. */
export async function loadKeyring(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<KeyringSeen | null> {
  const all = await load(trx, ownerId, [id]);
  return all.find(({ account }) => account.id === id) ?? null;
}

/** All accounts of a pool, as their keyrings see them. */
export function loadKeyrings(
  trx: Knex.Transaction,
  ownerId: string | null,
): Promise<KeyringSeen[]> {
  return load(trx, ownerId, null);
}

/** Accounts that want a keyring: all that are not revoked. */
export async function listKeyringAccounts(
  trx: Knex.Transaction,
): Promise<{ accountId: string; tenantId: string | null; name: string; keys: number }[]> {
  const { rows } = await trx.raw(`
    select a.id as "accountId", a.tenant_id as "tenantId", a.name,
           count(k.id) filter (where k.standing <> 'revoked')::int as keys
      from llm_accounts a
      left join llm_keys k on k.account_id = a.id
     where a.standing <> 'revoked'
     group by a.id
     order by a.id`);
  return rows;
}

/** The account and tenant of a key, whoever owns it. */
export async function accountOfKey(
  trx: Knex.Transaction,
  keyId: string,
): Promise<{ accountId: string; tenantId: string | null } | null> {
  const [row] = await trx('llm_keys')
    .where({ id: keyId })
    .select({ accountId: 'account_id', tenantId: 'tenant_id' });
  return row ?? null;
}

async function load(
  trx: Knex.Transaction,
  ownerId: string | null,
  wanted: readonly string[] | null,
): Promise<KeyringSeen[]> {
  // The whole pool, because what one keyring does depends on how the others of its pool stand.
  const [accounts, keys, health] = [
    await readAccounts(trx, ownerId),
    await readKeys(trx, ownerId),
    await readHealth(trx, ownerId),
  ];
  const ids = wanted ?? accounts.map(({ id }) => id);
  const transitions = await readTransitions(trx, ids);
  const revoked = new Set(
    keys.filter(({ standing }) => standing === 'revoked').map(({ id }) => id),
  );
  const usable = accounts.filter((account) => isUsable(account, keys, health)).map(({ id }) => id);
  return accounts
    .filter(({ id }) => ids.includes(id))
    .map((account) => {
      const told = transitions.filter(({ accountId }) => accountId === account.id);
      const [newest, words] = [
        told.filter(({ isWord }) => !isWord).slice(0, transitionsKept),
        told.filter(({ isWord }) => isWord).slice(0, wordsKept),
      ];
      return {
        account,
        keys: keys.filter(({ accountId }) => accountId === account.id).map(withoutAccount),
        health: health
          .filter(({ accountId }) => accountId === null || accountId === account.id)
          .filter(({ keyId }) => keyId === null || !revoked.has(keyId))
          .map(withoutAccount),
        transitions: newest.map(({ seen }) => seen),
        words: words.map(({ seen }) => seen),
        isPoolDown: usable.length === 0,
        isFirstOfPool: (usable[0] ?? accounts[0]?.id) === account.id,
      };
    });
}

interface OfAccount<Id = string> {
  accountId: Id;
}

function isUsable(
  account: AccountSeen,
  keys: readonly (KeySeen & OfAccount)[],
  health: readonly (HealthSeen & OfAccount<string | null>)[],
): boolean {
  const isHeldUp = ({ state }: HealthSeen) => state !== 'draining';
  return (
    (account.standing === 'active' || account.standing === 'draining') &&
    !health.some(
      (row) => row.scope === 'account' && row.accountId === account.id && isHeldUp(row),
    ) &&
    keys.some(
      (key) =>
        key.accountId === account.id &&
        (key.standing === 'active' || key.standing === 'draining') &&
        !(Date.parse(key.expiresAt ?? '') <= Date.now()) &&
        !health.some((row) => row.keyId === key.id && isHeldUp(row)),
    )
  );
}

async function readAccounts(trx: Knex.Transaction, ownerId: string | null): Promise<AccountSeen[]> {
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

async function readKeys(
  trx: Knex.Transaction,
  ownerId: string | null,
): Promise<(KeySeen & OfAccount)[]> {
  const rows = await trx('llm_keys as k')
    .where({ 'k.tenant_id': ownerId })
    .whereRaw(`(k.standing <> 'revoked' or k.standing_at > now() - make_interval(days => ?))`, [
      revokedShownDays,
    ])
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

async function readHealth(
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

interface TransitionRow {
  accountId: string;
  isWord: boolean;
  seen: TransitionSeen;
}

async function readTransitions(
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

function withoutAccount<T extends OfAccount<string | null>>(row: T): Omit<T, 'accountId'> {
  const { accountId: _, ...others } = row;
  return others;
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
