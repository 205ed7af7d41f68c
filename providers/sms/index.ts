import type { TwilioAccount } from '../twilio/account';
import { createTwilioSms } from './twilio';
import type { SmsProvider } from './types';

/** What each vendor needs to be called; the vendor is its name here. */
export interface SmsAccounts {
  twilio: TwilioAccount;
}

export type SmsVendor = keyof SmsAccounts;

export type SmsAccount = { [V in SmsVendor]: { vendor: V } & SmsAccounts[V] }[SmsVendor];

const vendors: { [V in SmsVendor]: (account: SmsAccounts[V]) => SmsProvider } = {
  twilio: createTwilioSms,
};

/** The provider behind an account. */
export function createSmsProvider<V extends SmsVendor>(
  account: { vendor: V } & SmsAccounts[V],
): SmsProvider {
  return vendors[account.vendor](account);
}
