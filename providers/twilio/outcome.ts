import { isObject, reasonOfFailure, retryAfterMs } from '../http/failures';
import { NeverLeft, VendorReply } from '../http/strictHttp';
import type { MessageOutcome } from '../types';
import { errorClassOf, type ErrorClass } from './errorCodes';
import { reasonIn } from '../vendorText';

type Refusal = Extract<MessageOutcome, { kind: 'recipientRefused' | 'messageRefused' }>;

/** What a refused call means, by what its error is about. The two that may be called again wait. */
const meanings = {
  optedOut: { kind: 'recipientRefused', consequence: 'suppress' },
  invalidNumber: { kind: 'recipientRefused', consequence: 'addressInvalid' },
  thisMessage: { kind: 'recipientRefused', consequence: 'none' },
  filtered: { kind: 'recipientRefused', consequence: 'none' },
  unreachable: { kind: 'recipientRefused', consequence: 'none' },
  configuration: { kind: 'messageRefused' },
  template: { kind: 'messageRefused' },
  throttled: { kind: 'throttled', retryAfterMs: 1_000 },
  // A number of the phone network sends one message a second: a full queue takes a while.
  queueFull: { kind: 'throttled', retryAfterMs: 60_000 },
} as const satisfies Record<
  ErrorClass,
  | { kind: 'recipientRefused'; consequence: 'suppress' | 'addressInvalid' | 'none' }
  | { kind: 'messageRefused' }
  | { kind: 'throttled'; retryAfterMs: number }
>;

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
  const reason = code === null ? `${status} ${message}`.trim() : `${code} ${message}`.trim();
  // 408 is said by whoever stands between us and the vendor, as a 5xx may be.
  if (status >= 500 || status === 408) {
    return { kind: 'inDoubt', status, reason };
  }
  const errorClass = status === 429 ? 'throttled' : errorClassOf(code);
  if (errorClass === null) {
    // Unknown: holding the run loses nothing, and its reason is there to be read.
    return { kind: 'messageRefused', status, reason };
  }
  const meaning = meanings[errorClass];
  if (meaning.kind === 'throttled') {
    const asked = retryAfterMs(headers, now);
    return { kind: 'throttled', status, reason, retryAfterMs: asked ?? meaning.retryAfterMs };
  }
  const refusal: Refusal = { ...meaning, status, reason };
  return refusal;
}

/** The vendor's error body: `{ code, message, more_info, status }`. */
function readError(body: unknown): { code: number | null; message: string } {
  const { code, message } = isObject(body) ? body : {};
  return {
    code: typeof code === 'number' ? code : null,
    message: typeof message === 'string' ? reasonIn(message) : '',
  };
}
