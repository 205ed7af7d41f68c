import type { MetaAccount } from '../meta/account';
import type { TwilioAccount } from '../twilio/account';
import { createMetaWhatsApp } from './meta';
import { createTwilioWhatsApp } from './twilio';
import type { WhatsAppProvider } from './types';

/** What each vendor needs to be called; the vendor is its name here. */
export interface WhatsAppAccounts {
  twilio: TwilioAccount;
  meta: MetaAccount;
}

export type WhatsAppVendor = keyof WhatsAppAccounts;

export type WhatsAppAccount = {
  [V in WhatsAppVendor]: { vendor: V } & WhatsAppAccounts[V];
}[WhatsAppVendor];

const vendors: { [V in WhatsAppVendor]: (account: WhatsAppAccounts[V]) => WhatsAppProvider } = {
  twilio: createTwilioWhatsApp,
  meta: createMetaWhatsApp,
};

/** The provider behind an account. */
export function createWhatsAppProvider<V extends WhatsAppVendor>(
  account: { vendor: V } & WhatsAppAccounts[V],
): WhatsAppProvider {
  return vendors[account.vendor](account);
}
