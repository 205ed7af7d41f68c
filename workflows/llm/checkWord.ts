import type { KeyWord, ReplaceWord } from './messages';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @throws Error that says what is wrong with a word, of which nothing is written then */
export function requireKey({ keyId }: KeyWord): void {
  if (!uuid.test(String(keyId))) {
    throw new Error('keyId must be the id of a key.');
  }
}

/** The same of one that names two keys. */
export function requireBoth(word: ReplaceWord): void {
  requireKey(word);
  if (!uuid.test(String(word.newKeyId)) || word.newKeyId === word.keyId) {
    throw new Error('newKeyId must be the id of another key, which was stored before.');
  }
}
