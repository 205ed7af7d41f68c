/** How to reach one Twilio account. Nothing of it is ever taken from the environment. */
export interface TwilioAccount {
  /** Our own id of the account: names the limits that all its calls share. */
  accountId: string;
  accountSid: string;
  /** What calls are made with: the account's auth token, or an API key and its secret. */
  credentials: { authToken: string } | { apiKeySid: string; apiKeySecret: string };
  /** Default is the vendor's own address. */
  baseUrl?: string;
  /** A call without an answer after this is in doubt; keep it well below the lease. */
  timeoutMs: number;
}
