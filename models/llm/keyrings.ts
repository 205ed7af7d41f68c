import type {
  AccountSeen,
  HealthSeen,
  KeyringSeen,
  KeySeen,
} from '../../domain/llm/keyrings/types';
import type { Knex } from '../../lib/db';
import type { OwnedId } from './accounts';
import {
  readAccounts,
  readHealth,
  readKeys,
  readTransitions,
  transitionsKept,
  wordsKept,
  type OfAccount,
} from './keyringRows';

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
  // Where none is well, one that has a key to ask with at all.
  const staffed = accounts.filter((account) => isUsable(account, keys, [])).map(({ id }) => id);
  const first = usable[0] ?? staffed[0] ?? accounts[0]?.id;
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
        isFirstOfPool: first === account.id,
      };
    });
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

function withoutAccount<T extends OfAccount<string | null>>(row: T): Omit<T, 'accountId'> {
  const { accountId: _, ...others } = row;
  return others;
}
