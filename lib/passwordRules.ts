import { ZxcvbnFactory, type MatchExtended } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';
import { invalidField, type AppError } from '../domain/errors';

/** What others know of whoever chooses a password. */
export interface PasswordOwner {
  email: string;
  names?: readonly (string | null | undefined)[];
}

// Some 300 million guesses: with argon2id a month and more of a fast computer.
const leastGuessesLog10 = 8.5;

// The time to estimate grows with the square of the length, and what is strong to here stays so.
const looksAt = 32;

const estimator = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs });

/**
 * Refuses a new password that is guessed early: one of those that leaked most often, or made of what
 * others know of its owner, of repeats, dates and rows of keys (NIST SP 800-63B §3.1.1.2). Nothing is
 * asked of its characters.
 *
 * @throws invalid commonPassword, personalPassword or guessablePassword
 */
export function requireGoodPassword(path: string, password: string, owner: PasswordOwner): void {
  const shown = Array.from(password.normalize('NFKC')).slice(0, looksAt).join('');
  const { guessesLog10, sequence } = estimator.check(shown, wordsOf(owner));
  if (guessesLog10 < leastGuessesLog10) {
    throw refused(path, sequence);
  }
}

function refused(path: string, sequence: readonly MatchExtended[]): AppError {
  const sources = new Set(sequence.map((match) => sourceOf(match)));
  if (sources.has('userInputs')) {
    return invalidField(
      path,
      'personalPassword',
      'Is mostly your name, address or company, which others know.',
    );
  }
  return sources.has('passwords-common')
    ? invalidField(path, 'commonPassword', 'Is, or is nearly, one that many people use.')
    : invalidField(
        path,
        'guessablePassword',
        'Is easy to guess: make it longer, of several words.',
      );
}

function sourceOf(match: MatchExtended): unknown {
  return 'dictionaryName' in match ? match.dictionaryName : undefined;
}

function wordsOf({ email, names = [] }: PasswordOwner): string[] {
  return [email, ...names, 'carillon']
    .flatMap((text) => {
      const lower = (text ?? '').toLowerCase();
      return [lower, ...lower.split(/[^\p{L}\p{N}]+/u)];
    })
    .filter((word) => word.length >= 3);
}
