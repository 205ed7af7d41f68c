import type { ConnectionOutcome, OpenedAccount } from '../domain/messages/accounts/types';
import { testSendGrid } from '../providers/email/sendgridConnection';

/** Asks vendors whether an account's credentials may send; nothing is sent by it. */
export interface ConnectionTests {
  /** Null for a vendor that cannot be asked yet. Never rejects because of the vendor. */
  test(account: OpenedAccount): Promise<ConnectionOutcome> | null;
}

/**
 * Calls vendors from this very process: a test carries no message, changes nothing, may be repeated
 * and has somebody waiting for it, so a workflow would keep nothing that the account's row does not.
 */
export function createConnectionTests(options: { timeoutMs: number }): ConnectionTests {
  return {
    test(account) {
      switch (account.vendor) {
        case 'sendgrid':
          return testSendGrid({ ...account.settings, ...account.credentials, ...options });
        case 'smtp':
        case 'twilio':
        case 'meta':
          return null;
      }
    },
  };
}
