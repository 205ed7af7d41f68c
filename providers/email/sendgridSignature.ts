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
 * timing to hide; a signature that is no signature at all is simply not one.
 *
 * @throws when the key is not a base64 SPKI key
 */
export function isSignedBySendGrid(publicKey: string, delivery: SignedDelivery): boolean {
  return createVerify('sha256')
    .update(delivery.timestamp)
    .update(delivery.body)
    .verify(readKey(publicKey), delivery.signature, 'base64');
}

let lastRead: { text: string; key: KeyObject } | undefined;

// Reading a key takes longer than checking a signature with it, and there is one for all deliveries.
function readKey(text: string): KeyObject {
  if (lastRead?.text !== text) {
    const key = createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
    lastRead = { text, key };
  }
  return lastRead.key;
}
