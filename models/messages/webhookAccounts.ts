import type { OpenedAccount } from '../../domain/messages/accounts/types';
import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { acrossTenantsInOneTrip } from '../base';
import { openAccount } from './accountCredentials';
import { ProviderAccount } from './ProviderAccount';

/** An account by whose key something was signed. */
export interface SigningAccount {
  id: string;
  /** Null for the platform's own. */
  tenantId: string | null;
}

/** The same with what its signature is checked by. */
export interface WebhookAccount extends SigningAccount {
  opened: OpenedAccount;
}

/**
 * The account that a webhook's address names, whoever's it is: until its signature is checked,
 * nobody knows who asks. Null when there is none. One that is switched off still hears of what it
 * sent.
 *
 * @throws SealingError when no key opens it
 */
export async function findWebhookAccount(
  db: Knex,
  sealing: Sealing,
  id: string,
): Promise<WebhookAccount | null> {
  const [rows] = await acrossTenantsInOneTrip(db, 'eventIntake', [
    {
      raw: db
        .raw('select * from provider_accounts where id = ? and vendor is not null', [id])
        .options({ name: 'webhookAccount' }),
    },
  ]);
  const [row] = rows ?? [];
  if (row === undefined) {
    return null;
  }
  const account = ProviderAccount.fromDatabaseJson(row);
  const opened = openAccount(sealing, account);
  return { id: account.id, tenantId: account.tenantId, opened };
}

/**
 * The accounts at Meta of the same tenant that have these numbers; a number that several have is the
 * default's, or the oldest one's.
 */
export async function findAccountsOfNumbers(
  db: Knex,
  { tenantId }: SigningAccount,
  phoneNumberIds: readonly string[],
): Promise<{ phoneNumberId: string; account: SigningAccount }[]> {
  const [rows] = await acrossTenantsInOneTrip(db, 'eventIntake', [
    {
      raw: db
        .raw(
          `select distinct on (number) id, number
             from provider_accounts, lateral (select settings->>'phoneNumberId' as number) s
            where vendor = 'meta' and tenant_id is not distinct from cast(? as uuid)
              and number = any(cast(? as text[]))
            order by number, is_default desc, created_at, id`,
          [tenantId, [...phoneNumberIds]],
        )
        .options({ name: 'accountsOfNumbers' }),
    },
  ]);
  const found: { id: string; number: string }[] = rows ?? [];
  return found.map(({ id, number }) => ({ phoneNumberId: number, account: { id, tenantId } }));
}
