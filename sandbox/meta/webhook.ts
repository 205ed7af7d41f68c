import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { EventChannel } from '../webhooks';
import type { MetaSandboxAccount, Numbers } from './accounts';

const ANSWER_TIMEOUT_MS = 20_000;
// The vendor's most is a thousand; it promises no batches.
const MAX_STATUSES = 100;

const StatusEvent = z.object({
  phoneNumberId: z.string(),
  url: z.string(),
  status: z.record(z.string(), z.unknown()),
});
type StatusEvent = z.infer<typeof StatusEvent>;

/** Statuses: those of one address and number together in a post. */
export function createStatusChannel(numbers: Numbers): EventChannel {
  return {
    maxEventsPerPost: MAX_STATUSES,
    async post(events, signal) {
      const groups = new Map<string, StatusEvent[]>();
      for (const event of events.map((one) => StatusEvent.parse(one))) {
        const key = `${event.phoneNumberId} ${event.url}`;
        groups.set(key, [...(groups.get(key) ?? []), event]);
      }
      let worst = 200;
      for (const [first, ...others] of groups.values()) {
        if (first) {
          const statuses = [first, ...others].map(({ status }) => status);
          worst = Math.max(worst, await postStatuses(numbers, first, statuses, signal));
        }
      }
      return worst;
    },
  };
}

async function postStatuses(
  numbers: Numbers,
  { phoneNumberId, url }: StatusEvent,
  statuses: unknown[],
  signal: AbortSignal,
): Promise<number> {
  const account = numbers.get(phoneNumberId);
  if (!account) {
    throw new Error(`there is no number ${phoneNumberId} any more`);
  }
  const { status } = await postWebhook(account, { url, value: { statuses }, signal });
  return status;
}

/** One signed post as the vendor makes them; with the answer as text. */
export async function postWebhook(
  account: MetaSandboxAccount,
  {
    url,
    value,
    field = 'messages',
    signal,
  }: { url: string; value: Record<string, unknown>; field?: string; signal: AbortSignal },
): Promise<{ status: number; answer: string }> {
  const { businessAccountId, displayPhoneNumber, phoneNumberId, appSecret } = account;
  const metadata = { display_phone_number: displayPhoneNumber, phone_number_id: phoneNumberId };
  const change = { field, value: { messaging_product: 'whatsapp', metadata, ...value } };
  const body = escaped(
    JSON.stringify({
      object: 'whatsapp_business_account',
      entry: [{ id: businessAccountId, changes: [change] }],
    }),
  );
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'facebookexternalua',
      'x-hub-signature-256': `sha256=${createHmac('sha256', appSecret).update(body).digest('hex')}`,
    },
    body,
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  });
  return { status: response.status, answer: await response.text() };
}

/** Asks an address whether it wants the account's webhooks, as the vendor does before it posts. */
export async function verifyWebhook(
  { verifyToken }: MetaSandboxAccount,
  { url, challenge, signal }: { url: string; challenge: string; signal: AbortSignal },
): Promise<boolean> {
  const asked = new URL(url);
  asked.searchParams.set('hub.mode', 'subscribe');
  asked.searchParams.set('hub.verify_token', verifyToken);
  asked.searchParams.set('hub.challenge', challenge);
  const response = await fetch(asked, {
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  });
  return (await response.text()) === challenge && response.status === 200;
}

/** The vendor posts nothing but ASCII, and signs what it posts. */
function escaped(json: string): string {
  return json.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
