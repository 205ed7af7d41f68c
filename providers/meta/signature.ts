import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export const signatureHeader = 'X-Hub-Signature-256';

/**
 * Whether the holder of the app's secret signed exactly these bytes; compared in constant time.
 * Nothing in it says when: a replay is known by its event ids alone.
 */
export function isSignedByMeta(appSecret: string, body: Buffer, signature: string): boolean {
  const [, hex] = /^sha256=([\da-f]{64})$/i.exec(signature) ?? [];
  // An empty secret is everybody's.
  if (hex === undefined || appSecret === '') {
    return false;
  }
  const expected = createHmac('sha256', appSecret).update(body).digest();
  return timingSafeEqual(expected, Buffer.from(hex, 'hex'));
}

/** What Meta asks of an address before it posts there, as the query of a GET. */
export interface VerificationRequest {
  /** `hub.mode` */
  mode: string;
  /** `hub.verify_token` */
  verifyToken: string;
  /** `hub.challenge` */
  challenge: string;
}

/**
 * What to answer as plain text; null refuses (403). The token is the one that the owner of the
 * account chose and told Meta; an account without one takes no webhooks.
 */
export function answerVerification(
  ownToken: string | undefined,
  { mode, verifyToken, challenge }: VerificationRequest,
): string | null {
  // What comes back is somebody else's text: as short and plain as the vendor's.
  const isPlain = /^[\w-]{1,200}$/.test(challenge);
  return ownToken && mode === 'subscribe' && isPlain && isSame(ownToken, verifyToken)
    ? challenge
    : null;
}

function isSame(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
