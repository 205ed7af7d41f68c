import { createPublicKey, verify } from 'node:crypto';

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
  const key = createPublicKey({
    key: Buffer.from(publicKey, 'base64'),
    format: 'der',
    type: 'spki',
  });
  return verify(
    'sha256',
    Buffer.concat([Buffer.from(delivery.timestamp), delivery.body]),
    key,
    Buffer.from(delivery.signature, 'base64'),
  );
}
