import { createHash } from 'node:crypto';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { sealedPlace } from '../../models/identity/sealedPlaces';
import { testSealing } from './accounts';

/** Writes an account at a vendor of models, the platform's unless told otherwise; answers its id. */
export async function insertLlmAccount(
  admin: Knex,
  options: {
    baseUrl: string;
    tenantId?: string | null;
    name?: string;
    managementKey?: string;
    columns?: Record<string, unknown>;
  },
): Promise<string> {
  const { baseUrl, tenantId = null, name, managementKey, columns = {} } = options;
  const id = newId();
  await admin('llm_accounts').insert({
    id,
    tenant_id: tenantId,
    name: name ?? `account ${id}`,
    vendor: 'openrouter',
    base_url: baseUrl,
    management_key:
      managementKey === undefined
        ? null
        : testSealing.seal(managementKey, sealedPlace('llmAccounts', { key: [id], tenantId })),
    ...columns,
  });
  return id;
}

/** Writes a key of an account; answers its id. */
export async function insertLlmKey(
  admin: Knex,
  options: {
    accountId: string;
    secret: string;
    tenantId?: string | null;
    label?: string;
    columns?: Record<string, unknown>;
  },
): Promise<string> {
  const { accountId, secret, tenantId = null, label, columns = {} } = options;
  const id = newId();
  await admin('llm_keys').insert({
    id,
    tenant_id: tenantId,
    account_id: accountId,
    label: label ?? `key ${id}`,
    secret: testSealing.seal(secret, sealedPlace('llmKeys', { key: [id], tenantId })),
    fingerprint: createHash('sha256').update(secret).digest('hex'),
    last4: secret.slice(-4),
    ...columns,
  });
  return id;
}
