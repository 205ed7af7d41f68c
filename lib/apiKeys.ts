import { createHash, timingSafeEqual } from 'node:crypto';
import { hashToken, newToken } from './tokens';

const mark = 'ck_';
const shownLength = 11;
const checkLength = 6;

/** A new key, what is stored of it, and how people know it by. */
export interface NewApiKey {
  key: string;
  hash: Buffer;
  prefix: string;
}

/** 32 random bytes behind a mark that scanners for secrets can look for, and a checksum. */
export function newApiKey(): NewApiKey {
  const body = mark + newToken().token;
  const key = body + checksumOf(body);
  return { key, hash: hashToken(key), prefix: key.slice(0, shownLength) };
}

/** Whether a bearer token says it is an API key. */
export function isApiKey(token: string): boolean {
  return token.startsWith(mark);
}

/** What the key is stored as; null for one that was mistyped or made up, which costs no query. */
export function hashOfApiKey(key: string): Buffer | null {
  const given = Buffer.from(key.slice(-checkLength));
  const expected = Buffer.from(checksumOf(key.slice(0, -checkLength)));
  const isWhole = given.length === expected.length && timingSafeEqual(given, expected);
  return isWhole && /^ck_[\w-]{49}$/.test(key) ? hashToken(key) : null;
}

function checksumOf(body: string): string {
  return createHash('sha256').update(`check ${body}`).digest('base64url').slice(0, checkLength);
}
