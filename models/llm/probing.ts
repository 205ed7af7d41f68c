import type { Sealing } from '../../lib/sealing';
import type { Knex } from '../../lib/db';
import type { KeyStanding, LlmVendor } from '../../domain/llm/types';
import { sealedPlace } from '../identity/sealedPlaces';

/** What opens an account at its vendor. Lives in an activity's memory alone. */
export interface OpenedCredentials {
  vendor: LlmVendor;
  baseUrl: string;
  apiKey: string;
}

/** A key as whoever asks its vendor about it needs it. */
export interface ProbedKey {
  credentials: OpenedCredentials;
  standing: KeyStanding;
  accountStanding: KeyStanding;
  allowedModels: string[] | null;
}

/** A key of this account, opened; null where there is none. */
export async function openKey(
  trx: Knex.Transaction,
  sealing: Sealing,
  { accountId, tenantId, keyId }: { accountId: string; tenantId: string | null; keyId: string },
): Promise<ProbedKey | null> {
  const [row] = await trx('llm_keys as k')
    .join('llm_accounts as a', 'a.id', 'k.account_id')
    .where({ 'k.id': keyId, 'k.account_id': accountId, 'k.tenant_id': tenantId })
    .select('k.secret', 'k.standing', 'k.allowed_models', 'a.vendor', 'a.base_url', {
      account_standing: 'a.standing',
    });
  if (row === undefined) {
    return null;
  }
  const place = sealedPlace('llmKeys', { key: [keyId], tenantId });
  return {
    credentials: {
      vendor: row.vendor,
      baseUrl: row.base_url,
      apiKey: sealing.open(row.secret, place),
    },
    standing: row.standing,
    accountStanding: row.account_standing,
    allowedModels: row.allowed_models,
  };
}

/** What opens the account's credits, and what is to be left of them; null where nothing does. */
export async function openManagementKey(
  trx: Knex.Transaction,
  sealing: Sealing,
  { accountId, tenantId }: { accountId: string; tenantId: string | null },
): Promise<{ credentials: OpenedCredentials; floorMicros: number } | null> {
  const [row] = await trx('llm_accounts')
    .where({ id: accountId, tenant_id: tenantId })
    .select('vendor', 'base_url', 'management_key', 'balance_floor_micros');
  if (row === undefined || row.management_key === null) {
    return null;
  }
  const place = sealedPlace('llmAccounts', { key: [accountId], tenantId });
  return {
    credentials: {
      vendor: row.vendor,
      baseUrl: row.base_url,
      apiKey: sealing.open(row.management_key, place),
    },
    floorMicros: row.balance_floor_micros,
  };
}

/** Writes what a key's vendor says of its limits; whatever is older than what is known is left out. */
export async function writeKeyLimits(
  trx: Knex.Transaction,
  {
    keyId,
    at,
    ...limits
  }: {
    keyId: string;
    at: Date;
    limitMicros: number | null;
    limitRemainingMicros: number | null;
    limitReset: 'daily' | 'weekly' | 'monthly' | null;
  },
): Promise<void> {
  await trx('llm_keys')
    .where({ id: keyId })
    .whereRaw('(limits_at is null or limits_at < ?)', [at])
    .update({
      limit_micros: limits.limitMicros,
      limit_remaining_micros: limits.limitRemainingMicros,
      limit_reset: limits.limitReset,
      limits_at: at,
    });
}

/** The same for an account's balance. */
export async function writeBalance(
  trx: Knex.Transaction,
  { accountId, balanceMicros, at }: { accountId: string; balanceMicros: number; at: Date },
): Promise<void> {
  await trx('llm_accounts')
    .where({ id: accountId })
    .whereRaw('(balance_at is null or balance_at < ?)', [at])
    .update({ balance_micros: balanceMicros, balance_at: at });
}
