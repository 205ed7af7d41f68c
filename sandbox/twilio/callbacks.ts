import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import type { EventChannel } from '../webhooks';
import type { Accounts } from './accounts';

const ANSWER_TIMEOUT_MS = 15_000;

const Callback = z.object({
  accountSid: z.string(),
  url: z.string(),
  fields: z.record(z.string(), z.string()),
});

/** Status callbacks: a post for each, to the address that its message named. */
export function createCallbackChannel(accounts: Accounts): EventChannel {
  return {
    maxEventsPerPost: 1,
    async post([event], signal) {
      const { accountSid, url, fields } = Callback.parse(event);
      const account = accounts.get(accountSid);
      if (!account) {
        throw new Error(`there is no account ${accountSid} any more`);
      }
      const { status } = await postForm({ url, fields, authToken: account.authToken, signal });
      return status;
    },
  };
}

/** One signed post of a form, as the vendor makes them; with the answer as text. */
export async function postForm(request: {
  url: string;
  fields: Record<string, string>;
  authToken: string;
  signal: AbortSignal;
}): Promise<{ status: number; answer: string }> {
  const { url, fields, authToken, signal } = request;
  const body = new URLSearchParams(fields).toString();
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
      'user-agent': 'TwilioProxy/1.1',
      // The same for every time that the same thing is told.
      'i-twilio-idempotency-token': createHash('sha256').update(body).digest('hex').slice(0, 36),
      'x-twilio-signature': signForm(url, fields, authToken),
    },
    body,
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  });
  return { status: response.status, answer: await response.text() };
}

/** The address, then each name and value in the order of the names; what follows `#` stays here. */
function signForm(url: string, fields: Record<string, string>, authToken: string): string {
  const [called = ''] = url.split('#', 1);
  const text = Object.keys(fields)
    .sort()
    .map((name) => `${name}${fields[name]}`);
  return createHmac('sha1', authToken)
    .update(called + text.join(''))
    .digest('base64');
}
