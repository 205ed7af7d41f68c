import { DEMO_TWILIO_ACCOUNT, type Sandbox } from '../../../sandbox';

export const { accountSid, authToken } = DEMO_TWILIO_ACCOUNT;

export const basic = (username: string, password: string) =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

export interface TwilioAnswer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** A request to the stand-in's API as any HTTP client would make it. */
export async function callTwilio(
  sandbox: Sandbox,
  path: string,
  init: { method?: string; authorization?: string | null; form?: Record<string, string> } = {},
): Promise<TwilioAnswer> {
  const { authorization = basic(accountSid, authToken), form, method } = init;
  const response = await fetch(`${sandbox.url}/2010-04-01/Accounts/${path}`, {
    method: method ?? (form === undefined ? 'GET' : 'POST'),
    headers: authorization === null ? {} : { authorization },
    ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
  });
  const body: Record<string, unknown> = JSON.parse(await response.text());
  return { status: response.status, headers: response.headers, body };
}

/** Creates a message with the smallest form the vendor takes, changed. */
export function createMessage(
  sandbox: Sandbox,
  changes: Record<string, string | undefined> = {},
): Promise<TwilioAnswer> {
  const form = { To: '+49301234567', From: '+15005550006', Body: 'Hello', ...changes };
  return callTwilio(sandbox, `${accountSid}/Messages.json`, {
    form: Object.fromEntries(
      Object.entries(form).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
  });
}
