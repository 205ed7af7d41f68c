import { fieldsOf, isFields, numberOf, textOf, textsIn, type Fields } from './fields';

/** What a vendor says of a failure, in whichever of its shapes. */
export interface VendorError {
  /** The status of the failure itself: an answer of status 200 may carry one. */
  readonly status: number;
  readonly message: string;
  /** Its names for it, lower case, the most telling first. */
  readonly names: readonly string[];
  readonly limitSource: string | null;
  readonly providerCode: string | null;
  /** Whether the model's provider refused, not the vendor in front of it. */
  readonly isOfProvider: boolean;
  readonly isModerated: boolean;
  readonly hasLimitHeaders: boolean;
  readonly retryAfterMs: number | null;
  readonly resetsAt: number | null;
  readonly fallbackModels: readonly string[];
  /** A page for people, of whatever stands before the vendor; it is no message. */
  readonly page: string | null;
}

interface Said {
  readonly status: number;
  readonly header: (name: string) => string | null;
  readonly body: unknown;
  readonly now: number;
}

export function errorIn({ status, header, body, now }: Said): VendorError {
  const error = errorOf(body);
  const metadata = fieldsOf(error['metadata']);
  const availability = fieldsOf(error['availability'] ?? metadata['availability']);
  const limits = fieldsOf(metadata['headers']);
  const limitHeader = (name: string) => header(name) ?? anyCase(limits, name);
  const providerCode = nameOf(metadata['provider_code']);
  const limitSource = nameOf(metadata['limit_source'] ?? error['limit_source']);
  const names = [
    nameOf(metadata['error_type']),
    nameOf(error['error_type']),
    nameOf(availability['code']),
    nameOf(metadata['reason']),
    nameOf(error['code']),
    nameOf(error['type']),
  ].filter((name) => name !== null);
  const reset = limitHeader('x-ratelimit-reset');
  const isLimited = limitHeaders.some((name) => limitHeader(name) !== null);
  const page = typeof body === 'string' && isPage(body) ? body : null;
  return {
    status: innerStatus(error) ?? status,
    message: textOf(error['message']) ?? (typeof body === 'string' && page === null ? body : ''),
    names,
    limitSource,
    providerCode,
    isOfProvider:
      providerCode !== null ||
      'provider_name' in metadata ||
      availability['code'] === 'capacity_exhausted' ||
      // The vendor had let it in: what it limits itself it refuses with a status and its limits.
      (status === 200 && !isLimited),
    isModerated: ['reasons', 'flagged_input', 'patterns'].some((name) => name in metadata),
    hasLimitHeaders: isLimited,
    retryAfterMs:
      waitOf(limitHeader('retry-after'), now) ??
      secondsOf(availability['retry_after'] ?? metadata['retry_after'] ?? error['retry_after']),
    resetsAt: instantOf(metadata['resets_at'] ?? error['resets_at']) ?? instantOf(reset),
    fallbackModels: textsIn(availability['fallback_models'] ?? metadata['fallback_models'])
      .filter((model) => model.length <= 200)
      .slice(0, 10),
    page,
  };
}

function isPage(text: string): boolean {
  return /^\s*<|\berror code: \d{4}\b/i.test(text.slice(0, 500));
}

const limitHeaders = [
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  // As OpenAI names them.
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
];

// `{error: {…}}`, `{error: 'words'}`, the error itself, or a list of one.
function errorOf(body: unknown): Fields {
  const whole: unknown = Array.isArray(body) ? body[0] : body;
  const { error } = fieldsOf(whole);
  if (isFields(error)) {
    return error;
  }
  return typeof error === 'string' ? { ...fieldsOf(whole), message: error } : fieldsOf(whole);
}

// `code` is the status with OpenRouter and a name with OpenAI.
function innerStatus(error: Fields): number | null {
  const status =
    numberOf(error['code']) ?? numberOf(error['http_status']) ?? numberOf(error['status']);
  return status !== null && Number.isInteger(status) && status >= 400 && status <= 599
    ? status
    : null;
}

function nameOf(value: unknown): string | null {
  const name = textOf(value);
  return name === null || /^\d+$/.test(name) || name.length > 100 ? null : name.toLowerCase();
}

function anyCase(fields: Fields, name: string): string | null {
  const found = Object.entries(fields).find(([key]) => key.toLowerCase() === name);
  const value = found?.[1];
  return typeof value === 'number' ? String(value) : textOf(value);
}

// The longest wait that is believed: a month's limit comes back within 31 days.
const longestWaitMs = 32 * 24 * 3_600_000;

/** RFC 9110 10.2.3: seconds, or the date of the instant. */
function waitOf(value: string | null, now: number): number | null {
  if (value === null) {
    return null;
  }
  return secondsOf(value) ?? bounded(Date.parse(value) - now);
}

function secondsOf(value: unknown): number | null {
  const seconds = numberOf(value);
  return seconds === null ? null : bounded(Math.ceil(seconds * 1_000));
}

function bounded(ms: number): number | null {
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), longestWaitMs) : null;
}

/** An instant as ISO 8601, or as seconds or milliseconds since the epoch, in ms. */
function instantOf(value: unknown): number | null {
  const number = numberOf(value);
  if (number === null) {
    const instant = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    return Number.isFinite(instant) ? instant : null;
  }
  // A number too small to be an instant is something else: a count of seconds, a version.
  if (number < 1e9 || number > 1e14) {
    return null;
  }
  return Math.round(number < 1e11 ? number * 1_000 : number);
}
