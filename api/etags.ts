import { createHash } from 'node:crypto';
import { AppError } from '../domain/errors';

/** The validator of what a caller was shown: it changes with any of it. */
export function etagOf(shown: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(shown)).digest('base64url').slice(0, 22)}"`;
}

/** Answers 412 when the caller named another version than the one that is there now. */
export function requireUnchanged(ifMatch: string | undefined, shownNow: unknown): void {
  if (ifMatch !== undefined && !names(ifMatch, etagOf(shownNow))) {
    throw new AppError(
      'preconditionFailed',
      'changedMeanwhile',
      'It was changed since you read it: read it again and repeat your change.',
    );
  }
}

/** Whether a list of validators, as in If-Match and If-None-Match, names this one. */
export function names(header: string, etag: string): boolean {
  return header
    .split(',')
    .map((part) => part.trim().replace(/^W\//, ''))
    .some((part) => part === '*' || part === etag);
}
