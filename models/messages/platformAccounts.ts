import { isDeepStrictEqual } from 'node:util';
import type { OpenedAccount } from '../../domain/messages/accounts/types';
import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { acrossTenants } from '../base';
import {
  columnsOf,
  openAccount,
  sealCredentials,
  untested,
  type NewAccountValues,
} from './accountCredentials';
import { ProviderAccount } from './ProviderAccount';
import { ensureAccount } from './accountLimits';

/**
 * Keeps an account of the platform as the configuration says, which is where its credentials come
 * from; the first of a channel becomes its default. Safe to repeat, by several processes at once.
 */
export async function ensurePlatformAccount(
  db: Knex,
  sealing: Sealing,
  {
    id,
    limitPerMinute,
    ...values
  }: NewAccountValues & {
    id: string;
    limitPerMinute: number;
  },
): Promise<void> {
  await acrossTenants(db, 'platformAccounts', async (trx) => {
    await ensureAccount(trx, { id, tenantId: null }, limitPerMinute);
    const stored = await ProviderAccount.query(trx).findById(id).forUpdate().throwIfNotFound();
    if (isAsConfigured(sealing, stored, values)) {
      return;
    }
    const isFirst = stored.vendor === null;
    await ProviderAccount.query(trx)
      .findById(id)
      .patch({
        ...columnsOf(values),
        // Whoever runs the installation may have renamed it or switched it off.
        ...(isFirst ? {} : { name: stored.name, active: stored.active, senders: stored.senders }),
        credentials: sealCredentials(sealing, { id, tenantId: null }, values.credentials),
        version: isFirst ? stored.version : stored.version + 1,
        ...untested,
        updatedAt: trx.fn.now(),
      });
    if (isFirst) {
      await trx.raw(
        `update provider_accounts set is_default = true
          where id = :id and active and not exists (
            select 1 from provider_accounts
             where tenant_id is null and is_default and channel = :channel)`,
        { id, channel: values.channel },
      );
    }
  });
}

function isAsConfigured(
  sealing: Sealing,
  stored: ProviderAccount,
  { vendor, settings, credentials }: OpenedAccount,
): boolean {
  if (stored.vendor === null) {
    return false;
  }
  try {
    return isDeepStrictEqual(openAccount(sealing, stored), { vendor, settings, credentials });
  } catch {
    // Sealed with a key that is gone: the configuration still has what was sealed.
    return false;
  }
}
