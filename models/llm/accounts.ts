import type { QueryBuilder } from 'objection';
import { conflict, notFound } from '../../domain/errors';
import type { LlmVendor } from '../../domain/llm/types';
import { brokenForeignKey, brokenUniqueConstraint } from '../../lib/databaseErrors';
import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { sealedPlace } from '../identity/sealedPlaces';
import type { SortKey } from '../pages';
import { LlmAccount } from './LlmAccount';

export const llmAccountSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  name: { by: 'lower(name)', type: 'text' },
} as const satisfies Record<string, SortKey>;

/** A row of a tenant, or of the platform: null. */
export interface OwnedId {
  ownerId: string | null;
  id: string;
}

export interface LlmAccountValues {
  name: string;
  baseUrl: string;
  /** Null for none. */
  managementKey: string | null;
  maxConcurrency: number | null;
  balanceFloorMicros: number;
}

/**
 * Writes a new account. A row with this id is taken for the same one written before.
 *
 * @throws conflict llmAccountNameTaken
 */
export async function createLlmAccount(
  trx: Knex.Transaction,
  sealing: Sealing,
  key: OwnedId,
  values: LlmAccountValues & { vendor: LlmVendor; createdBy: string | null },
): Promise<LlmAccount> {
  const { ownerId, id } = key;
  const { managementKey, ...others } = values;
  const row = { id, tenantId: ownerId, ...others, ...sealedKey(sealing, key, managementKey) };
  await named(() => LlmAccount.query(trx).insert(row).onConflict('id').ignore());
  return requireLlmAccount(trx, key);
}

// Each has a workflow that asks its vendor, and every process knows all of them.
const mostAccounts = 50;

/**
 * Whether the owner may have one more account beside those that are not this one.
 *
 * @throws conflict llmAccountsTooMany
 */
export async function requireRoomForAccount(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<void> {
  const others = LlmAccount.query(trx).select('id').where({ tenant_id: ownerId }).whereNot({ id });
  if ((await others.resultSize()) >= mostAccounts) {
    throw conflict('llmAccountsTooMany', `There are ${mostAccounts} accounts: remove one first.`);
  }
}

/** Accounts of the owner, for a list. */
export function llmAccountsOf(
  trx: Knex.Transaction,
  ownerId: string | null,
): QueryBuilder<LlmAccount, LlmAccount[]> {
  return LlmAccount.query(trx)
    .select(
      LlmAccount.shownColumns.map((column) => `llm_accounts.${column}`),
      trx.raw(
        `(select count(*)::int from llm_keys k
           where k.account_id = llm_accounts.id and k.standing <> 'revoked') as key_count`,
      ),
    )
    .where({ 'llm_accounts.tenant_id': ownerId });
}

/** The owner's account, or notFound. */
export async function requireLlmAccount(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<LlmAccount> {
  return orNotFound(await llmAccountsOf(trx, ownerId).findById(id));
}

/** The same, kept from changes until the transaction ends. */
export async function lockLlmAccount(trx: Knex.Transaction, key: OwnedId): Promise<LlmAccount> {
  return orNotFound(await llmAccountsOf(trx, key.ownerId).findById(key.id).forNoKeyUpdate());
}

function orNotFound(account: LlmAccount | undefined): LlmAccount {
  if (account === undefined) {
    throw notFound('llmAccount');
  }
  return account;
}

/**
 * Writes what is given over a locked account; what is undefined stays.
 *
 * @throws conflict llmAccountNameTaken
 */
export async function changeLlmAccount(
  trx: Knex.Transaction,
  sealing: Sealing,
  stored: LlmAccount,
  values: Partial<LlmAccountValues>,
): Promise<LlmAccount> {
  const key = { ownerId: stored.tenantId, id: stored.id };
  const { managementKey, ...others } = values;
  await named(() =>
    LlmAccount.query(trx)
      .findById(stored.id)
      .patch({
        ...others,
        ...(managementKey === undefined ? {} : sealedKey(sealing, key, managementKey)),
        version: stored.version + 1,
        updatedAt: trx.fn.now(),
      }),
  );
  return requireLlmAccount(trx, key);
}

/**
 * Removes an account, with the keys of it that were revoked, and answers what it was.
 *
 * @throws conflict llmAccountHasKeys
 */
export async function removeLlmAccount(trx: Knex.Transaction, key: OwnedId): Promise<LlmAccount> {
  const account = await lockLlmAccount(trx, key);
  const hasKeys = () => conflict('llmAccountHasKeys', 'The account has keys: revoke them first.');
  if (account.keyCount > 0) {
    throw hasKeys();
  }
  try {
    await trx('llm_keys').where({ account_id: account.id, standing: 'revoked' }).delete();
    await LlmAccount.query(trx).deleteById(account.id);
  } catch (error) {
    // One was added meanwhile.
    throw brokenForeignKey(error) === null ? error : hasKeys();
  }
  return account;
}

function sealedKey(sealing: Sealing, { ownerId, id }: OwnedId, managementKey: string | null) {
  const place = sealedPlace('llmAccounts', { key: [id], tenantId: ownerId });
  return { managementKey: managementKey === null ? null : sealing.seal(managementKey, place) };
}

async function named<T>(write: () => PromiseLike<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (brokenUniqueConstraint(error) === 'llm_accounts_name') {
      throw conflict('llmAccountNameTaken', 'There is another account of this name.');
    }
    throw error;
  }
}
