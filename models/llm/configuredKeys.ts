import type { LlmVendor } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import type { Sealing } from '../../lib/sealing';
import { acrossTenants } from '../base';
import { changeLlmAccount, createLlmAccount, lockLlmAccount } from './accounts';
import { createLlmKey, fingerprintOf } from './keys';
import { LlmAccount } from './LlmAccount';
import { setKeyStanding } from './standings';

/** An account of the platform as the configuration has it. */
export interface ConfiguredAccount {
  name: string;
  vendor: LlmVendor;
  baseUrl: string;
  managementKey: string | null;
  keys: readonly string[];
  /** Null for all models. */
  allowedModels: string[] | null;
}

// Processes start together: only one of them at a time looks what is there and adds the rest.
const lockId = 6_033_001;

/**
 * Takes the keys of the configuration in as keys of the platform, each once: whatever people do with
 * them afterwards stays, and one that was revoked does not come back. Answers the ids of the accounts
 * that were given a key now.
 */
export async function ensureConfiguredKeys(
  db: Knex,
  sealing: Sealing,
  accounts: readonly ConfiguredAccount[],
): Promise<string[]> {
  const wanted = accounts.filter(({ keys }) => keys.length > 0);
  if (wanted.length === 0) {
    return [];
  }
  return acrossTenants(db, 'platformAdmin', async (trx) => {
    await trx.raw('select pg_advisory_xact_lock(?)', [lockId]);
    const changed: string[] = [];
    for (const account of wanted) {
      const unknown = await unknownOf(trx, account.keys);
      const management = await unknownOf(trx, [account.managementKey ?? []].flat());
      if (unknown.length > 0) {
        changed.push(await addKeys(trx, sealing, account, unknown));
      }
      if (management.length > 0) {
        await addManagementKey(trx, sealing, account);
      }
    }
    return changed;
  });
}

/**
 * Revokes keys of the platform that are known by what opens them, wherever people have put them.
 * Answers how many it revoked; those that were before stay as they are.
 */
export async function setAsideKeys(
  db: Knex,
  secrets: readonly string[],
  reason: string,
): Promise<number> {
  return acrossTenants(db, 'platformAdmin', async (trx) => {
    const found = await keysOfPlatform(trx)
      .whereIn('fingerprint', secrets.map(fingerprintOf))
      .orderBy('id')
      .select('id');
    const word = { standing: 'revoked', reason, actorId: null, actorKind: 'system' } as const;
    for (const { id } of found) {
      await setKeyStanding(trx, { ownerId: null, id }, word);
    }
    return found.length;
  });
}

/** Whether the platform has keys, and they are all among these. */
export async function hasNoKeysBut(db: Knex, secrets: readonly string[]): Promise<boolean> {
  const prints = new Set(secrets.map(fingerprintOf));
  const kept = await acrossTenants(db, 'platformAdmin', async (trx) =>
    keysOfPlatform(trx).select('fingerprint'),
  );
  return kept.length > 0 && kept.every(({ fingerprint }) => prints.has(fingerprint));
}

function keysOfPlatform(trx: Knex.Transaction) {
  return trx('llm_keys').where({ tenant_id: null }).whereNot({ standing: 'revoked' });
}

async function unknownOf(trx: Knex.Transaction, keys: readonly string[]): Promise<string[]> {
  const given = new Map(keys.map((secret) => [fingerprintOf(secret), secret]));
  const prints = [...given.keys()];
  const found = await trx.raw(
    `select fingerprint from llm_configured_keys where fingerprint = any(:prints)
     union select fingerprint from llm_keys where tenant_id is null and fingerprint = any(:prints)`,
    { prints },
  );
  const known: { fingerprint: string }[] = found.rows;
  known.forEach(({ fingerprint }) => given.delete(fingerprint));
  // Remembered for ever: a key that was removed in the meantime is not to come back.
  await trx.raw(
    `insert into llm_configured_keys (fingerprint) select unnest(cast(? as text[]))
     on conflict do nothing`,
    [prints],
  );
  return [...given.values()];
}

async function addKeys(
  trx: Knex.Transaction,
  sealing: Sealing,
  account: ConfiguredAccount,
  secrets: readonly string[],
): Promise<string> {
  const accountId = await accountFor(trx, sealing, account);
  for (const secret of secrets) {
    const label = `${account.name} …${secret.slice(-4)}`;
    await createLlmKey(
      trx,
      sealing,
      { ownerId: null, id: newId() },
      {
        accountId,
        secret,
        label,
        weight: 100,
        maxConcurrency: null,
        allowedModels: account.allowedModels,
        workspace: null,
        expiresAt: null,
        createdBy: null,
      },
    );
  }
  return accountId;
}

// One that was configured later than the keys: where a person wrote another one, that stays.
async function addManagementKey(
  trx: Knex.Transaction,
  sealing: Sealing,
  account: ConfiguredAccount,
): Promise<void> {
  const id = await accountFor(trx, sealing, account);
  const stored = await lockLlmAccount(trx, { ownerId: null, id });
  if (!stored.hasManagementKey) {
    await changeLlmAccount(trx, sealing, stored, { managementKey: account.managementKey });
  }
}

// Another address is another account, whatever the one of that name was changed to meanwhile; and so
// is another name at the same address.
async function accountFor(
  trx: Knex.Transaction,
  sealing: Sealing,
  { name, vendor, baseUrl, managementKey }: ConfiguredAccount,
): Promise<string> {
  const stored = await LlmAccount.query(trx)
    .select('id', 'name', 'vendor', 'base_url')
    .where({ tenant_id: null })
    .orderBy('created_at');
  const names = [name, `${name} at ${new URL(baseUrl).host}`.slice(0, 100)];
  const same = stored.find(
    (one) =>
      one.vendor === vendor &&
      one.baseUrl === baseUrl &&
      [...names, `${name} ${one.id}`].includes(one.name),
  );
  if (same !== undefined) {
    return same.id;
  }
  const id = newId();
  const taken = new Set(stored.map((one) => one.name.toLowerCase()));
  await createLlmAccount(
    trx,
    sealing,
    { ownerId: null, id },
    {
      name: names.find((one) => !taken.has(one.toLowerCase())) ?? `${name} ${id}`,
      vendor,
      baseUrl,
      managementKey,
      maxConcurrency: null,
      balanceFloorMicros: 0,
      createdBy: null,
    },
  );
  return id;
}
