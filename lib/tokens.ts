import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** A secret that opens something, and what is stored of it. */
export interface NewToken {
  /** 43 characters that need no escaping anywhere; shown or sent once and never stored. */
  token: string;
  hash: Buffer;
}

/** 32 random bytes. There is no guessing them, so a plain hash is as good as a slow one. */
export function newToken(): NewToken {
  const token = randomBytes(32).toString('base64url');
  return { token, hash: hashToken(token) };
}

/** What is stored in place of a token, and what it is found by. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/**
 * A digest under a key that serves this purpose alone, made of a secret of the installation: for
 * what must not be read, but be found again.
 */
export function createKeyedDigest(secret: string, purpose: string): (text: string) => Buffer {
  const key = Buffer.from(hkdfSync('sha256', secret, 'carillon', purpose, 32));
  return (text) => createHmac('sha256', key).update(text).digest();
}
