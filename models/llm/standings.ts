import { conflict, notFound } from '../../domain/errors';
import type { AccountStanding, KeyStanding } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import type { OwnedId } from './accounts';

/** Somebody's word on how a key stands. */
export interface StandingWord {
  standing: KeyStanding;
  reason: string | null;
  /** Null for an operator in the Temporal UI, or for what a person had asked for before. */
  actorId: string | null;
  actorKind: 'user' | 'timer' | 'system';
  /** Of this very word: once it is written it is not written again, whatever came since. */
  id?: string;
  /** The key that comes in its place, which serves from now on. */
  newKeyId?: string | null;
  /** How the key stood when the word was thought of: it holds only while that is so. */
  ifStill?: { standing: KeyStanding; at: Date };
}

/** What a word did. */
export interface StandingChange {
  accountId: string;
  tenantId: string | null;
  before: KeyStanding;
  isChanged: boolean;
}

/**
 * Writes how a key stands by somebody's word, and that they said it. What stands so already stays as
 * it is, with who said it first; what is revoked stays revoked.
 *
 * @throws notFound llmKey; conflict llmKeyRevoked
 */
export async function setKeyStanding(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
  word: StandingWord,
): Promise<StandingChange> {
  const key = await lockKey(trx, { ownerId, id });
  const { standing: before, account_id: accountId } = key;
  const change = { accountId, tenantId: ownerId, before };
  if (await isSaid(trx, word)) {
    return { ...change, isChanged: false };
  }
  if (word.ifStill !== undefined && !isStill(key, word.ifStill)) {
    return { ...change, isChanged: false };
  }
  if (before === 'revoked' && word.standing !== 'revoked') {
    throw conflict('llmKeyRevoked', 'The key was revoked, and a revoked key never serves again.');
  }
  const isReplaced = await putInItsPlace(trx, { ownerId, id, accountId }, word.newKeyId ?? null);
  if (before === word.standing) {
    return { ...change, isChanged: isReplaced };
  }
  await trx('llm_keys').where({ id }).update(standsBy(trx, word));
  await trx('llm_transitions').insert({
    ...told(word, before),
    tenant_id: ownerId,
    scope: 'key',
    account_id: accountId,
    key_id: id,
  });
  return { ...change, isChanged: true };
}

/** Somebody's word on how a whole account stands. */
export type AccountStandingWord = Pick<StandingWord, 'reason' | 'actorId' | 'id'> & {
  standing: AccountStanding;
};

/** The same of an account with all its keys, which keep how they stand by themselves. */
export async function setAccountStanding(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
  word: AccountStandingWord,
): Promise<{ before: KeyStanding; isChanged: boolean }> {
  const account = await trx('llm_accounts')
    .where({ id, tenant_id: ownerId })
    .forNoKeyUpdate()
    .first('standing');
  if (account === undefined) {
    throw notFound('llmAccount');
  }
  const { standing: before } = account;
  if (before === word.standing || (await isSaid(trx, word))) {
    return { before, isChanged: false };
  }
  await trx('llm_accounts').where({ id }).update(standsBy(trx, word));
  await trx('llm_transitions').insert({
    ...told({ ...word, actorKind: 'user' }, before),
    tenant_id: ownerId,
    scope: 'account',
    account_id: id,
  });
  return { before, isChanged: true };
}

async function isSaid(trx: Knex.Transaction, { id }: { id?: string }): Promise<boolean> {
  return id !== undefined && (await trx('llm_transitions').where({ id }).first('id')) !== undefined;
}

function standsBy(
  trx: Knex.Transaction,
  { standing, reason, actorId }: Pick<StandingWord, 'standing' | 'reason' | 'actorId'>,
) {
  return {
    standing,
    standing_reason: reason,
    standing_by: actorId,
    standing_at: trx.raw('clock_timestamp()'),
    version: trx.raw('version + 1'),
    updated_at: trx.fn.now(),
  };
}

function told(
  { id = newId(), standing, reason, actorKind, actorId }: StandingWord,
  before: KeyStanding,
) {
  return {
    id,
    from_state: before,
    to_state: standing,
    reason,
    actor_kind: actorKind,
    actor_id: actorId,
  };
}

/** Keeps a key's standing from changes until the transaction ends, and answers it. */
export async function lockStanding(trx: Knex.Transaction, key: OwnedId): Promise<KeyStanding> {
  return (await lockKey(trx, key)).standing;
}

// Health that is written meanwhile refers to the key, so its row is kept from changes alone.
async function lockKey(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<{ account_id: string; standing: KeyStanding; standing_at: Date }> {
  const [key] = await trx('llm_keys')
    .where({ id, tenant_id: ownerId })
    .forNoKeyUpdate()
    .select('account_id', 'standing', 'standing_at');
  if (key === undefined) {
    throw notFound('llmKey');
  }
  return key;
}

// Taken back and drained anew is another word: other calls are under way.
function isStill(
  key: { standing: KeyStanding; standing_at: Date },
  { standing, at }: { standing: KeyStanding; at: Date },
): boolean {
  return key.standing === standing && key.standing_at.getTime() === at.getTime();
}

// A key that came in the place of another one is told by it, so that the old one is revoked later.
async function putInItsPlace(
  trx: Knex.Transaction,
  { ownerId, id, accountId }: OwnedId & { accountId: string },
  newKeyId: string | null,
): Promise<boolean> {
  if (newKeyId === null) {
    return false;
  }
  const [next] = await trx('llm_keys')
    .where({ id: newKeyId, tenant_id: ownerId, account_id: accountId })
    .forNoKeyUpdate()
    .select('standing', 'replaces');
  if (next === undefined) {
    throw notFound('llmKey');
  }
  if (next.standing === 'revoked') {
    throw conflict(
      'llmKeyRevoked',
      'The new key was revoked, and a revoked key never serves again.',
    );
  }
  if (next.replaces === id && next.standing === 'active') {
    return false;
  }
  await trx('llm_keys')
    .where({ id: newKeyId })
    .update({ replaces: id, standing: 'active', updated_at: trx.fn.now() });
  return true;
}

/**
 * Whether calls may still be under way that began before this instant: with which key an open call is
 * made is known only once it is settled.
 */
export async function areCallsOpenSince(trx: Knex.Transaction, at: Date): Promise<boolean> {
  const { rows } = await trx.raw(
    `select exists (select 1 from llm_calls
                     where outcome = 'open' and expires_at > now() and created_at <= ?) as open`,
    [at],
  );
  return rows[0]?.open === true;
}
