/** A WhatsApp number that the stand-in knows, with the app that may use it. */
export interface MetaSandboxAccount {
  phoneNumberId: string;
  businessAccountId: string;
  /** As the vendor shows it: digits alone. */
  displayPhoneNumber: string;
  accessToken: string;
  /** Signs the webhooks. */
  appSecret: string;
  /** What the app's owner told the vendor to say when it verifies an address. */
  verifyToken: string;
  /** Where statuses and customers' messages go; without it nothing is told until one is set. */
  webhookUrl?: string;
}

/** The number that is there when no other is named. */
export const DEMO_META_ACCOUNT: MetaSandboxAccount = {
  phoneNumberId: '100000000000001',
  businessAccountId: '200000000000001',
  displayPhoneNumber: '15005550006',
  accessToken: 'sandbox-meta-token',
  appSecret: '5a'.repeat(16),
  verifyToken: 'sandbox-verify-token',
};

/** The numbers by their ids, and what changes while the stand-in runs. */
export interface Numbers {
  get(phoneNumberId: string): MetaSandboxAccount | undefined;
  /** The number of an id, or the first where none is named. */
  find(phoneNumberId: string | undefined): MetaSandboxAccount | undefined;
  /** Whether any number is opened by it. */
  knowsToken(token: string): boolean;
  webhookOf(phoneNumberId: string): string | null;
  setWebhook(phoneNumberId: string, url: string | null): void;
}

export function numbersOf(list: readonly MetaSandboxAccount[]): Numbers {
  const accounts = new Map(list.map((account) => [account.phoneNumberId, account]));
  const webhooks = new Map(list.map((account) => [account.phoneNumberId, account.webhookUrl]));
  return {
    get: (phoneNumberId) => accounts.get(phoneNumberId),
    find: (phoneNumberId) => (phoneNumberId === undefined ? list[0] : accounts.get(phoneNumberId)),
    knowsToken: (token) => list.some(({ accessToken }) => accessToken === token),
    webhookOf: (phoneNumberId) => webhooks.get(phoneNumberId) ?? null,
    setWebhook(phoneNumberId, url) {
      webhooks.set(phoneNumberId, url ?? undefined);
    },
  };
}
