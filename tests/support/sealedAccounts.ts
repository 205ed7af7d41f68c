import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import type { Sealing } from '../../lib/sealing';
import { sealCredentials } from '../../models/messages/accountCredentials';
import { adminOf } from './postgres';
import { insertTenant } from './records';

export interface SealedAccount {
  id: string;
  tenantId: string;
}

/** What an account's credentials are after so many changes: they tell whose they are, and since when. */
export function apiKeyOf({ id }: Pick<SealedAccount, 'id'>, changes: number): string {
  return `SG.${id}.${changes}`;
}

/** Whether these are credentials of the account, as they once were or are. */
export function isKeyOf({ id }: Pick<SealedAccount, 'id'>, apiKey: string): boolean {
  return apiKey.startsWith(`SG.${id}.`);
}

/** Writes accounts of several tenants, sealed, some thousand a statement. */
export async function writeSealedAccounts(
  db: Knex,
  sealing: Sealing,
  options: { accounts: number; tenants: number; baseUrl?: string },
): Promise<SealedAccount[]> {
  const tenantIds: string[] = [];
  for (let n = 0; n < options.tenants; n += 1) {
    tenantIds.push(await insertTenant(adminOf(db)));
  }
  const accounts = Array.from({ length: options.accounts }, (_, n) => ({
    id: newId(),
    tenantId: tenantIds[n % options.tenants] ?? '',
  }));
  const { baseUrl } = options;
  const rows = accounts.map((account, n) => ({
    id: account.id,
    tenant_id: account.tenantId,
    channel: 'email',
    vendor: 'sendgrid',
    name: `Account ${n}`,
    settings: JSON.stringify({ region: 'global', ...(baseUrl === undefined ? {} : { baseUrl }) }),
    credentials: sealCredentials(sealing, account, { apiKey: apiKeyOf(account, 0) }),
  }));
  await adminOf(db).batchInsert('provider_accounts', rows, 2_000);
  return accounts;
}
