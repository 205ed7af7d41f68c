import { isObject, reasonOfFailure, retryAfterMs } from '../http/failures';
import { NeverLeft, VendorReply } from '../http/strictHttp';
import type { MessageOutcome } from '../types';
import { errorClassOf, type ErrorClass } from './errorCodes';
import { reasonIn } from '../vendorText';

/** What a call means that an error answered, by what the error is about. */
const meanings = {
  optedOut: { kind: 'recipientRefused', consequence: 'suppress' },
  unreachable: { kind: 'recipientRefused', consequence: 'none' },
  thisMessage: { kind: 'recipientRefused', consequence: 'none' },
  // One message in 6 seconds to the same person, after a burst of 45.
  tooManyToOne: { kind: 'notSent', onlyRecipient: true, retryAfterMs: 6_000 },
  configuration: { kind: 'messageRefused' },
  template: { kind: 'messageRefused' },
  throttled: { kind: 'throttled', retryAfterMs: 1_000 },
  usedUp: { kind: 'throttled', retryAfterMs: 60_000 },
  unknownEffect: { kind: 'inDoubt' },
} as const satisfies Record<ErrorClass, Partial<MessageOutcome>>;

const retryUnreachableMs = 5_000;

/** What became of a call that did not end with a message. */
export function outcomeOfError(error: unknown, now: number): MessageOutcome {
  if (error instanceof VendorReply) {
    return outcomeOfReply(error, now);
  }
  if (error instanceof NeverLeft) {
    const reason = reasonOfFailure(error.cause);
    return { kind: 'notSent', status: null, reason, retryAfterMs: retryUnreachableMs };
  }
  return { kind: 'inDoubt', status: null, reason: reasonOfFailure(error) };
}

function outcomeOfReply({ status, headers, body }: VendorReply, now: number): MessageOutcome {
  const { code, message } = readError(body);
  const reason = `${code ?? status} ${message}`.trim();
  const asked = retryAfterMs(headers, now) ?? regainAccessMs(headers);
  const errorClass = errorClassOf(code) ?? classOfStatus(status);
  const meaning = meanings[errorClass];
  switch (meaning.kind) {
    case 'throttled':
    case 'notSent':
      return { ...meaning, status, reason, retryAfterMs: asked ?? meaning.retryAfterMs };
    case 'recipientRefused':
    case 'messageRefused':
    case 'inDoubt':
      return { ...meaning, status, reason };
  }
}

/**
 * Without a code of the vendor's the answer may be of something else on the way. With one a 500 is
 * not always a doubt: a missing permission is answered so.
 */
function classOfStatus(status: number): ErrorClass {
  if (status === 429) {
    return 'throttled';
  }
  // Unknown refusals hold the run: nothing is lost by it, and the reason is there to be read.
  return status >= 500 || status === 408 ? 'unknownEffect' : 'configuration';
}

/** The vendor's error body: `{ error: { code, message, error_data: { details } } }`. */
export function readError(body: unknown): { code: number | null; message: string } {
  const error = isObject(body) && isObject(body.error) ? body.error : {};
  const { code, message, error_data: data } = error;
  const details = isObject(data) ? data.details : undefined;
  // "(#131026) Message undeliverable": the number is told already.
  const title = typeof message === 'string' ? message.replace(/^\(#\d+\)\s*/, '') : '';
  const said = [title, details].filter((part) => typeof part === 'string' && part !== '');
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : null,
    message: reasonIn(said.join(': ')),
  };
}

const minuteMs = 60_000;
const longestWaitMs = 24 * 60 * minuteMs;

/** How long until an allowance that is used up comes back, as the usage header estimates it. */
function regainAccessMs(headers: unknown): number | null {
  const text = isObject(headers) ? headers['x-business-use-case-usage'] : undefined;
  const minutes = usagesOf(text).map(({ estimated_time_to_regain_access: wait }) => Number(wait));
  const longest = Math.max(0, ...minutes.filter((wait) => Number.isFinite(wait)));
  return longest === 0 ? null : Math.min(longest * minuteMs, longestWaitMs);
}

/** `{ "<business id>": [{ type, call_count, … }] }`, as JSON. */
function usagesOf(text: unknown): Record<string, unknown>[] {
  try {
    const value: unknown = typeof text === 'string' ? JSON.parse(text) : null;
    return isObject(value) ? Object.values(value).flat().filter(isObject) : [];
  } catch {
    return [];
  }
}
