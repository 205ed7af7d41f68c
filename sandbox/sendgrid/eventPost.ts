import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto';
import type { WebhookTarget } from '../options';
import type { PostEvents, VendorEvent } from '../vendor';
import type { EventChannel } from '../webhooks';

const ANSWER_TIMEOUT_MS = 10_000;
const MAX_EVENTS_PER_POST = 1_000;

/** The event webhook: batches of up to a thousand, signed. */
export function createEventChannel(target: WebhookTarget): EventChannel {
  return { post: createEventPost(target), maxEventsPerPost: MAX_EVENTS_PER_POST };
}

function createEventPost({ url, privateKeyPem }: WebhookTarget): PostEvents {
  const key = readSigningKey(privateKeyPem);
  return async (events, signal) => {
    const body = encodeEvents(events);
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'SendGrid Event API',
        'x-twilio-email-event-webhook-signature': signEvents(body, timestamp, key),
        'x-twilio-email-event-webhook-timestamp': timestamp,
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    // Read to the end, so that the connection can be used again.
    await response.arrayBuffer();
    return response.status;
  };
}

/** A pair of keys for the webhook: the private one signs, the public one (base64 SPKI) checks. */
export function createWebhookKeys(): { privateKeyPem: string; publicKeyBase64: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKeyBase64: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

/** The public half (base64 SPKI) of a private key. */
export function publicKeyOf(privateKeyPem: string): string {
  const key = createPublicKey(readSigningKey(privateKeyPem));
  return key.export({ type: 'spki', format: 'der' }).toString('base64');
}

// One event a line and a line end after the last: the signature covers those bytes too.
function encodeEvents(events: VendorEvent[]): string {
  return `[${events.map((event) => JSON.stringify(event)).join(',\r\n')}]\r\n`;
}

function signEvents(body: string, timestamp: string, key: KeyObject): string {
  return sign('sha256', Buffer.from(timestamp + body), key).toString('base64');
}

function readSigningKey(pem: string): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Error('the webhook key must be a P-256 private key in PEM');
  }
  return key;
}
