import { createHash } from 'node:crypto';
import type { QueryBuilder } from 'objection';
import { conflict, invalidField, notFound } from '../../domain/errors';
import { brokenUniqueConstraint } from '../../lib/databaseErrors';
import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { sealedPlace } from '../identity/sealedPlaces';
import type { SortKey } from '../pages';
import type { OwnedId } from './accounts';
import { LlmAccount } from './LlmAccount';
import { LlmKey } from './LlmKey';

export const llmKeySorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  label: { by: 'lower(label)', type: 'text' },
} as const satisfies Record<string, SortKey>;

export interface LlmKeyValues {
  label: string;
  weight: number;
  maxConcurrency: number | null;
  allowedModels: string[] | null;
  workspace: string | null;
  expiresAt: Date | null;
}

export interface NewLlmKey extends LlmKeyValues {
  accountId: string;
  secret: string;
  createdBy: string | null;
  /** The key in whose place it comes. */
  replaces?: string | null;
}

/** Knows a secret again without opening it: SHA-256, in hex. Keys of vendors cannot be guessed. */
export function fingerprintOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/**
 * Writes a new key of an account of the owner, sealed. A row with this id is taken for the same one
 * written before.
 *
 * @throws invalid for an account that is not the owner's; conflict llmKeyKnown
 */
export async function createLlmKey(
  trx: Knex.Transaction,
  sealing: Sealing,
  key: OwnedId,
  { secret, replaces = null, ...values }: NewLlmKey,
): Promise<LlmKey> {
  const { ownerId, id } = key;
  const account = await LlmAccount.query(trx)
    .select('id')
    .findOne({ id: values.accountId, tenant_id: ownerId })
    .forKeyShare();
  if (account === undefined) {
    throw invalidField('accountId', 'notFound', 'There is no such account.');
  }
  const row = {
    id,
    tenantId: ownerId,
    ...values,
    replaces,
    secret: sealing.seal(secret, sealedPlace('llmKeys', { key: [id], tenantId: ownerId })),
    fingerprint: fingerprintOf(secret),
    last4: secret.slice(-4),
  };
  try {
    await LlmKey.query(trx).insert(row).onConflict('id').ignore();
  } catch (error) {
    if (brokenUniqueConstraint(error) === 'llm_keys_fingerprint') {
      throw conflict('llmKeyKnown', 'This key is here already.');
    }
    throw error;
  }
  return requireLlmKey(trx, key);
}

// Every process knows all of them, and one answer tells how they stand.
const mostKeys = 200;

/**
 * Whether the owner may have one more key in use beside those that are not this one.
 *
 * @throws conflict llmKeysTooMany
 */
export async function requireRoomForKey(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<void> {
  const others = LlmKey.query(trx)
    .select('id')
    .where({ tenant_id: ownerId })
    .whereNot({ id })
    .whereNot({ standing: 'revoked' });
  if ((await others.resultSize()) >= mostKeys) {
    throw conflict('llmKeysTooMany', `There are ${mostKeys} keys in use: revoke one first.`);
  }
}

/** Keys of the owner, of one account or of all. */
export function llmKeysOf(
  trx: Knex.Transaction,
  ownerId: string | null,
  filter: { accountId?: string | undefined; standing?: string | undefined } = {},
): QueryBuilder<LlmKey, LlmKey[]> {
  return LlmKey.query(trx)
    .select([...LlmKey.shownColumns])
    .where({ tenant_id: ownerId })
    .where((query) => {
      if (filter.accountId !== undefined) {
        query.where({ account_id: filter.accountId });
      }
      if (filter.standing !== undefined) {
        query.where({ standing: filter.standing });
      }
    });
}

/** The owner's key, or notFound. */
export async function requireLlmKey(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<LlmKey> {
  return orNotFound(await llmKeysOf(trx, ownerId).findById(id));
}

/** The same, kept from changes until the transaction ends. */
export async function lockLlmKey(trx: Knex.Transaction, { ownerId, id }: OwnedId): Promise<LlmKey> {
  return orNotFound(await llmKeysOf(trx, ownerId).findById(id).forNoKeyUpdate());
}

/** Writes what is given over a locked key; what is undefined stays. */
export async function changeLlmKey(
  trx: Knex.Transaction,
  stored: LlmKey,
  values: Partial<LlmKeyValues>,
): Promise<LlmKey> {
  await LlmKey.query(trx)
    .findById(stored.id)
    .patch({ ...values, version: stored.version + 1, updatedAt: trx.fn.now() });
  return requireLlmKey(trx, { ownerId: stored.tenantId, id: stored.id });
}

/**
 * Removes a key that was revoked, with what opened it, and answers what it was.
 *
 * @throws conflict llmKeyNotRevoked
 */
export async function removeLlmKey(trx: Knex.Transaction, key: OwnedId): Promise<LlmKey> {
  const stored = await lockLlmKey(trx, key);
  if (stored.standing !== 'revoked') {
    throw conflict('llmKeyNotRevoked', 'Calls may be under way by this key: revoke it first.');
  }
  await LlmKey.query(trx).deleteById(stored.id);
  return stored;
}

function orNotFound(key: LlmKey | undefined): LlmKey {
  if (key === undefined) {
    throw notFound('llmKey');
  }
  return key;
}
