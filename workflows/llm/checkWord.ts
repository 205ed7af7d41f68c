import { noControls } from '../../domain/oneLine';
import type { KeyWord, ReplaceWord } from './messages';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const longestReason = 200;

/**
 * Operators write what they like into the Temporal UI, and what the records cannot hold would be
 * written again for ever.
 *
 * @throws Error that says what is wrong with a word, of which nothing is written then
 */
export function requireKey(word: KeyWord): void {
  if (!isId(fieldOf(word, 'keyId'))) {
    throw new Error('keyId must be the id of a key.');
  }
  requireSaid(word);
}

/** The same of one that names two keys. */
export function requireBoth(word: ReplaceWord): void {
  requireKey(word);
  if (!isId(word.newKeyId) || word.newKeyId === word.keyId) {
    throw new Error('newKeyId must be the id of another key, which was stored before.');
  }
}

/** The same of one on the whole account. */
export function requireSaid(word?: unknown): void {
  const [reason, actorId] = [fieldOf(word, 'reason'), fieldOf(word, 'actorId')];
  if (reason != null && !isReason(reason)) {
    throw new Error(`reason must be one line of at most ${longestReason} characters.`);
  }
  if (actorId != null && !isId(actorId)) {
    throw new Error('actorId must be the id of a user; leave it out for an operator.');
  }
}

function fieldOf(word: unknown, name: string): unknown {
  return typeof word === 'object' && word !== null
    ? Object.entries(word).find(([key]) => key === name)?.[1]
    : undefined;
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && uuid.test(value);
}

function isReason(value: unknown): boolean {
  return typeof value === 'string' && value.length <= longestReason && noControls.test(value);
}
