/** How to reach one number at Meta's Cloud API. Nothing of it is ever taken from the environment. */
export interface MetaAccount {
  /** Our own id of the account: names the limits that all its calls share. */
  accountId: string;
  /** The number that messages come from, by the vendor's id of it. */
  phoneNumberId: string;
  accessToken: string;
  /** `v` and a number; default is `defaultApiVersion`. */
  apiVersion?: string;
  /** Default is the vendor's own address. */
  baseUrl?: string;
  /** A call without an answer after this is in doubt; keep it well below the lease. */
  timeoutMs: number;
}

/** Answered by the vendor until July 2028. */
export const defaultApiVersion = 'v25.0';
