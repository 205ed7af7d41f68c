import { createSendGrid } from './sendgrid';
import type { EmailProvider } from './types';

export type EmailVendor = 'sendgrid';

export interface EmailAccount {
  vendor: EmailVendor;
  /** Names the account whose limits all calls share. */
  accountId: string;
  apiKey: string;
  baseUrl?: string;
  timeoutMs: number;
}

const vendors = {
  sendgrid: createSendGrid,
} satisfies Record<EmailVendor, (account: EmailAccount) => EmailProvider>;

/** The provider behind an account. */
export function createEmailProvider(account: EmailAccount): EmailProvider {
  return vendors[account.vendor](account);
}
