import type { Problems } from './errors';
import { readStrings } from './readFields';

const MAX_SCHEDULE_SECONDS = 72 * 3_600;
const FORBIDDEN_HEADERS = new Set([
  'x-sg-id',
  'x-sg-eid',
  'received',
  'dkim-signature',
  'content-type',
  'content-transfer-encoding',
  'to',
  'from',
  'subject',
  'reply-to',
  'cc',
  'bcc',
]);

/** Headers a sender may set: not those the vendor writes, and nothing that breaks a line. */
export function checkHeaders(
  headers: unknown,
  field: string,
  problems: Problems,
): Record<string, string> {
  const read = readStrings(headers, field, problems);
  for (const [name, value] of Object.entries(read)) {
    if (FORBIDDEN_HEADERS.has(name.toLowerCase())) {
      problems.add(
        `${field}.${name}`,
        `The header ${name} is reserved and cannot be set.`,
        'message.headers',
      );
    }
    if (!/^[!-9;-~]+$/.test(name) || /[\r\n]/.test(value) || !isAscii(value)) {
      problems.add(
        `${field}.${name}`,
        'Header names and values must be ASCII and without line ends.',
        'message.headers',
      );
    }
  }
  return read;
}

/** Mail can be scheduled for three days at most, measured from `now` (ms). */
export function checkSendAt(sendAt: unknown, field: string, now: number, problems: Problems): void {
  if (sendAt === undefined) {
    return;
  }
  if (typeof sendAt !== 'number' || !Number.isInteger(sendAt)) {
    problems.add(field, 'The send_at parameter must be a Unix timestamp.', 'message.send_at');
    return;
  }
  if (sendAt > now / 1_000 + MAX_SCHEDULE_SECONDS) {
    problems.add(
      field,
      'The send_at parameter may not be more than 72 hours in the future.',
      'message.send_at',
    );
  }
}

/** A subject, or null when it is not given. */
export function readText(value: unknown, field: string, problems: Problems): string | null {
  if (value === undefined || value === null) {
    return null;
  }
  if (typeof value !== 'string') {
    problems.add(field, 'The subject must be a string.', 'message.subject');
    return null;
  }
  return value;
}

export function isAscii(text: string): boolean {
  return /^[\x20-\x7e\t]*$/.test(text);
}
