/** The channels a provider account can serve, and the vendors that do. */
export const vendorsOf = {
  email: ['sendgrid', 'smtp'],
  sms: ['twilio'],
  whatsapp: ['twilio', 'meta'],
} as const;

export type AccountChannel = keyof typeof vendorsOf;
export type Vendor = (typeof vendorsOf)[AccountChannel][number];

export const accountChannels = ['email', 'sms', 'whatsapp'] as const satisfies AccountChannel[];
export const vendors = ['sendgrid', 'smtp', 'twilio', 'meta'] as const satisfies Vendor[];

/** Who a message comes from: an address, a number, or a name where the network takes one. */
export interface Sender {
  address: string;
  name: string | null;
}

/** Where a vendor is called and as what; nothing in it is secret. */
export interface VendorSettings {
  /**
   * `baseUrl` is for the sandbox. `activityLookUp`: the account is licensed for the Email Activity
   * Feed, so that it can be asked for calls in doubt. `messagesPerCall`: fewer than the vendor takes;
   * with 1 each message is rendered whole and leaves in a call of its own.
   */
  sendgrid: {
    region: 'global' | 'eu';
    baseUrl?: string | undefined;
    activityLookUp?: boolean | undefined;
    messagesPerCall?: number | undefined;
  };
  smtp: { host: string; port: number; security: 'tls' | 'starttls' | 'none' };
  twilio: {
    accountSid: string;
    messagingServiceSid?: string | undefined;
    baseUrl?: string | undefined;
  };
  meta: {
    phoneNumberId: string;
    businessAccountId: string;
    /** Of the vendor's interface, as `v25.0`; it ends a version about two years after it came. */
    apiVersion?: string | undefined;
    baseUrl?: string | undefined;
  };
}

/** What opens an account, and never leaves us but to its vendor. */
export interface VendorCredentials {
  /** `webhookPublicKey` is what its events are signed with; without it none is taken. */
  sendgrid: { apiKey: string; webhookPublicKey?: string | undefined };
  smtp: { username: string; password: string };
  twilio: { authToken: string };
  /** `verifyToken` is what the account's owner tells the vendor to say when it asks for webhooks. */
  meta: { accessToken: string; appSecret: string; verifyToken?: string | undefined };
}

/** One vendor's settings with its credentials: all that a provider is made of. */
export type OpenedAccount = {
  [V in Vendor]: { vendor: V; settings: VendorSettings[V]; credentials: VendorCredentials[V] };
}[Vendor];

export const connectionOutcomes = ['accepted', 'refused', 'unreachable'] as const;

/**
 * What a vendor answered when asked whether these credentials may send. `unreachable` is everything
 * that says nothing about them: no way to the vendor, an error of its own, too many calls.
 */
export type ConnectionOutcome =
  | { kind: 'accepted' }
  | { kind: 'refused' | 'unreachable'; reason: string };

/** What settings of a tenant may name. */
export interface SettingsPolicy {
  /** In development accounts may point to the sandbox, which is on this machine. */
  mayBeLocal: boolean;
}

/** Settings that are right in form but not allowed here, by their path; null when all is well. */
export function forbiddenSetting(
  settings: { baseUrl?: string | undefined; security?: string | undefined },
  policy: SettingsPolicy,
): { path: string; code: string; message: string } | null {
  if (settings.baseUrl !== undefined && !policy.mayBeLocal) {
    return {
      path: 'settings.baseUrl',
      code: 'notAllowedHere',
      message: 'Is the vendor’s own address; another one may be set in development alone.',
    };
  }
  if (settings.baseUrl !== undefined && !isLoopbackUrl(settings.baseUrl)) {
    return {
      path: 'settings.baseUrl',
      code: 'notAllowedHere',
      message: 'May only lead to this machine, where the sandbox is.',
    };
  }
  if (settings.security === 'none' && !policy.mayBeLocal) {
    return {
      path: 'settings.security',
      code: 'notAllowedHere',
      message: 'A password may travel unprotected in development alone.',
    };
  }
  return null;
}

function isLoopbackUrl(text: string): boolean {
  const url = new URL(text);
  return (
    /^https?:$/.test(url.protocol) &&
    /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname) &&
    url.username === '' &&
    url.password === ''
  );
}

/** The most messages that one call to a vendor carries. */
const vendorsMostPerCall: Record<Vendor, number> = { sendgrid: 1_000, smtp: 1, twilio: 1, meta: 1 };

/** The most messages that one call for an account carries: its vendor's most, or its own. */
export function mostPerCall(account: { vendor: Vendor; settings: VendorSettings[Vendor] }): number {
  const own = 'messagesPerCall' in account.settings ? account.settings.messagesPerCall : undefined;
  return Math.min(own ?? Infinity, vendorsMostPerCall[account.vendor]);
}
