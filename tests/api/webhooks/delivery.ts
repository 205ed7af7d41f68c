import { createPrivateKey, sign } from 'node:crypto';
import type { ApiAnswer, TestApi } from '../../support/api';

export interface DeliveryOptions {
  /** Whose address it goes to; the platform's unless given. */
  accountId?: string;
  privateKeyPem: string;
  /** Seconds; now unless given. */
  timestamp?: string;
  /** Sent in place of the right one. */
  signature?: string;
  headers?: Record<string, string>;
}

/** Posts events as the vendor does: signed over the timestamp and the bytes of the body. */
export function deliver(
  api: TestApi,
  events: unknown[] | string,
  options: DeliveryOptions,
): Promise<ApiAnswer> {
  const body = typeof events === 'string' ? events : `${JSON.stringify(events)}\r\n`;
  const timestamp = options.timestamp ?? String(Math.floor(Date.now() / 1000));
  const signature =
    options.signature ?? signatureOf(body, { timestamp, privateKeyPem: options.privateKeyPem });
  const account = options.accountId === undefined ? '' : `/${options.accountId}`;
  return api.send('post', `/webhooks/sendgrid${account}`, {
    body,
    headers: {
      'Content-Type': 'application/json',
      'X-Twilio-Email-Event-Webhook-Signature': signature,
      'X-Twilio-Email-Event-Webhook-Timestamp': timestamp,
      ...options.headers,
    },
  });
}

export function signatureOf(
  body: string,
  { timestamp, privateKeyPem }: { timestamp: string; privateKeyPem: string },
): string {
  const key = createPrivateKey(privateKeyPem);
  return sign('sha256', Buffer.from(timestamp + body), key).toString('base64');
}
