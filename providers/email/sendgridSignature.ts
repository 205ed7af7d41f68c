import { createPublicKey, createVerify, type KeyObject } from 'node:crypto';

export const signatureHeader = 'X-Twilio-Email-Event-Webhook-Signature';
export const timestampHeader = 'X-Twilio-Email-Event-Webhook-Timestamp';

/** A delivery of events as it came: the signature covers the timestamp and every byte of the body. */
export interface SignedDelivery {
  signature: string;
  timestamp: string;
  body: Buffer;
}

/**
 * Whether the holder of the key signed exactly this. Nothing secret is compared, so there is no
 * timing to hide; a signature that is no signature at all is simply not one, and a key that is none
 * has signed nothing.
 */
export function isSignedBySendGrid(publicKey: string, delivery: SignedDelivery): boolean {
  const key = readKey(publicKey);
  return (
    key !== null &&
    createVerify('sha256')
      .update(delivery.timestamp)
      .update(delivery.body)
      .verify(key, delivery.signature, 'base64')
  );
}

const mostKept = 200;
const kept = new Map<string, KeyObject | null>();

// Reading a key takes longer than checking a signature with it, and few keys sign all deliveries.
function readKey(text: string): KeyObject | null {
  const found = kept.get(text);
  if (found !== undefined) {
    return found;
  }
  const key = parseKey(text);
  const oldest = kept.size < mostKept ? undefined : kept.keys().next().value;
  if (oldest !== undefined) {
    kept.delete(oldest);
  }
  kept.set(text, key);
  return key;
}

function parseKey(text: string): KeyObject | null {
  try {
    return createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
  } catch {
    return null;
  }
}
