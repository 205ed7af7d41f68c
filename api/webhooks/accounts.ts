import { z } from 'zod';
import { AppError } from '../../domain/errors';
import type { OpenedAccount, Vendor } from '../../domain/messages/accounts/types';
import type { Knex } from '../../lib/db';
import { SealingError } from '../../lib/sealing';
import {
  findWebhookAccount,
  type SigningAccount,
  type WebhookAccount,
} from '../../models/messages/webhookAccounts';
import type { ApiDeps } from '../deps';
import { createSharedAsking } from './together';

/** An account in a webhook's address: the platform's have names, not ids. */
export const accountParams = {
  accountId: { what: 'webhook', schema: z.string().min(1).max(200) },
} as const;

/** An account at one vendor, with what its signature is checked by. */
export interface AccountAt<V extends Vendor> extends SigningAccount {
  opened: Extract<OpenedAccount, { vendor: V }>;
}

/**
 * The account of a webhook's address; null when this vendor has none of that name, which nobody
 * outside may tell. A vendor that posts each event alone has many posts under way at once, and they
 * share one look: it may be as old as the oldest of them.
 */
export async function webhookAccount<V extends Vendor>(
  deps: Pick<ApiDeps, 'db' | 'sealing' | 'logger'>,
  { id, vendor }: { id: string; vendor: V },
): Promise<AccountAt<V> | null> {
  const account = await askOnceOf(deps.db)(id, () => find(deps, id));
  return account !== null && isAt(vendor, account) ? account : null;
}

const shared = new WeakMap<Knex, ReturnType<typeof createSharedAsking<WebhookAccount | null>>>();

function askOnceOf(db: Knex) {
  const asking = shared.get(db) ?? createSharedAsking<WebhookAccount | null>();
  shared.set(db, asking);
  return asking;
}

async function find(
  { db, sealing, logger }: Pick<ApiDeps, 'db' | 'sealing' | 'logger'>,
  id: string,
): Promise<WebhookAccount | null> {
  try {
    return await findWebhookAccount(db, sealing, id);
  } catch (error) {
    if (!(error instanceof SealingError)) {
      throw error;
    }
    logger.error({ accountId: id, err: error }, 'credentials do not open');
    throw new AppError(
      'unavailable',
      'webhookNotConfigured',
      'The credentials of this account cannot be opened, so nothing can be trusted.',
      { retryAfterSeconds: 300, cause: error },
    );
  }
}

function isAt<V extends Vendor>(vendor: V, account: WebhookAccount): account is AccountAt<V> {
  return account.opened.vendor === vendor;
}

/** The same answer for a wrong signature and for an account that is none. */
export function invalidSignature(): AppError {
  return new AppError(
    'unauthenticated',
    'invalidSignature',
    'The signature is not of this request by this account.',
  );
}
