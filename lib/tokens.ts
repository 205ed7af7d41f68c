import { createHash, randomBytes } from 'node:crypto';

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
