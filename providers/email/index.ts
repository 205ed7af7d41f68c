import { createSendGrid } from './sendgrid';
import type { EmailProvider } from './types';

export type EmailVendor = 'sendgrid';

export interface EmailAccount {
  vendor: EmailVendor;
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
