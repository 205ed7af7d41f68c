import { z } from 'zod';
import { AppError } from '../../domain/errors';
import type { Vendor } from '../../domain/messages/accounts/types';
import { SealingError } from '../../lib/sealing';
import { findWebhookAccount, type WebhookAccount } from '../../models/messages/webhookAccounts';
import type { ApiDeps } from '../deps';

/** An account in a webhook's address: the platform's have names, not ids. */
export const accountParams = {
  accountId: { what: 'webhook', schema: z.string().min(1).max(200) },
} as const;

/** The account of a webhook's address; null when there is none, which nobody outside may tell. */
export async function webhookAccount<V extends Vendor>(
  { db, sealing, logger }: Pick<ApiDeps, 'db' | 'sealing' | 'logger'>,
  account: { id: string; vendor: V },
): Promise<WebhookAccount<V> | null> {
  try {
    return await findWebhookAccount(db, sealing, account);
  } catch (error) {
    if (!(error instanceof SealingError)) {
      throw error;
    }
    logger.error({ accountId: account.id, err: error }, 'credentials do not open');
    throw new AppError(
      'unavailable',
      'webhookNotConfigured',
      'The credentials of this account cannot be opened, so nothing can be trusted.',
      { retryAfterSeconds: 300, cause: error },
    );
  }
}

/** The same answer for a wrong signature and for an account that is none. */
export function invalidSignature(): AppError {
  return new AppError(
    'unauthenticated',
    'invalidSignature',
    'The signature is not of this request by this account.',
  );
}
