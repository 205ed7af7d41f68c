import { createHmac, hkdfSync } from 'node:crypto';

/** A digest that tells whether two texts are the same one to whoever holds the key, and nobody else. */
export type KeyedHash = (text: string) => string;

/**
 * For what must be known again and never read: addresses that somebody tried to log in with. `use`
 * keeps the digests of one use apart from those of another one under the same secret.
 */
export function createKeyedHash(secret: string, use: string): KeyedHash {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `carillon ${use}`, 32));
  return (text) => createHmac('sha256', key).update(text).digest('base64url').slice(0, 22);
}
