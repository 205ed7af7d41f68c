/** A Twilio account that the stand-in knows; its token signs the callbacks, as the vendor's does. */
export interface TwilioSandboxAccount {
  /** `AC` and 32 hexadecimal digits. */
  accountSid: string;
  authToken: string;
  /** Keys (`SK…`) that may call in its name, with their secrets. */
  apiKeys?: Readonly<Record<string, string>>;
}

/** The account that is there when no other is named. */
export const DEMO_TWILIO_ACCOUNT: TwilioSandboxAccount = {
  accountSid: `AC${'0'.repeat(31)}1`,
  authToken: 'sandbox-twilio-token',
};

/** The accounts by their SIDs. */
export type Accounts = ReadonlyMap<string, TwilioSandboxAccount>;

export function accountsOf(list: readonly TwilioSandboxAccount[]): Accounts {
  return new Map(list.map((account) => [account.accountSid, account]));
}

/** Whether Basic credentials open an account: its own SID and token, or one of its keys. */
export function mayUse(account: TwilioSandboxAccount, authorization: string | undefined): boolean {
  const encoded = /^Basic (\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
  const [, username = '', password = ''] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString('utf8')) ?? [];
  const { accountSid, authToken, apiKeys = {} } = account;
  const expected =
    username === accountSid
      ? authToken
      : Object.hasOwn(apiKeys, username)
        ? apiKeys[username]
        : undefined;
  return expected !== undefined && password === expected;
}
