import type { z } from 'zod';
import type { ProviderAccount as AccountShape } from '../../domain/messages/accounts/schema';
import type { ProviderAccount } from '../../models/messages/ProviderAccount';

/** What people see of an account: everything but its credentials, field by field. */
export function presentAccount(account: ProviderAccount): z.output<typeof AccountShape> {
  return {
    id: account.id,
    channel: account.channel,
    vendor: account.vendor,
    name: account.name,
    settings: account.settings,
    senders: account.senders,
    active: account.active,
    isDefault: account.isDefault,
    lastTest:
      account.testedAt === null || account.testOutcome === null
        ? null
        : {
            at: account.testedAt.toISOString(),
            outcome: account.testOutcome,
            reason: account.testReason,
          },
    createdAt: account.createdAt.toISOString(),
    updatedAt: account.updatedAt.toISOString(),
  };
}
