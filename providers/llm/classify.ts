import { failureKinds, type FailureKind, type LlmFailure } from '../../domain/llm/failures';
import { errorIn, type VendorError } from './errorBody';
import { wordsOf, type Unspeakable } from './words';

/** What an attempt came to that brought no answer, or one that is none. */
export type AttemptSign =
  /** The vendor said what is wrong: by its status, or in an answer or a stream of status 200. */
  | {
      readonly is: 'said';
      readonly status: number;
      readonly header: (name: string) => string | null;
      /** Parsed, or the text of what is no JSON. */
      readonly body: unknown;
      readonly hadBegun: boolean;
    }
  /** There was no connection: nothing was sent. */
  | { readonly is: 'notConnected'; readonly code: string }
  /** The connection ended after the call was sent; `hasHead`: an answer had been promised. */
  | {
      readonly is: 'cut';
      readonly code: string;
      readonly hasHead: boolean;
      readonly hadBegun: boolean;
    }
  /** A limit of ours passed. */
  | { readonly is: 'late'; readonly limit: LateLimit; readonly hadBegun: boolean }
  | { readonly is: 'empty' }
  /** It would not answer, in words of its own that are none of an answer. */
  | { readonly is: 'refused' }
  /** No JSON, no text, or without the mark at its end. */
  | { readonly is: 'unreadable'; readonly what: string; readonly hadBegun: boolean };

export type LateLimit = 'whole' | 'firstToken' | 'idle' | 'cancelled';

export interface AttemptPlace {
  readonly model: string;
  /** In ms since the epoch. */
  readonly now: number;
  /** What no message may repeat. */
  readonly unspeakable: Unspeakable;
}

/**
 * Says what failed and whose fault it is: the one place that knows what vendors' refusals look like.
 * It goes by the vendor's own name for it first, then by the status, then by the words. What nobody
 * knows becomes a kind that takes nothing out of use for long.
 */
export function classify(sign: AttemptSign, place: AttemptPlace): LlmFailure {
  switch (sign.is) {
    case 'said':
      return saidFailure(sign, place);
    case 'notConnected':
      return failure('unreachable', {
        message: `no connection: ${sign.code}`,
        vendorCode: sign.code,
      });
    case 'cut':
      return failure(sign.hasHead ? 'brokenAnswer' : 'serverError', {
        message: sign.hasHead ? 'the answer broke off' : 'the connection ended without an answer',
        vendorCode: sign.code,
        hadBegun: sign.hadBegun,
      });
    case 'late':
      return failure(lateKinds[sign.limit], {
        message: lateWords[sign.limit],
        hadBegun: sign.hadBegun,
      });
    case 'empty':
      return failure('emptyAnswer', { status: 200, message: 'the answer says nothing' });
    case 'refused':
      return failure('refused', { status: 200, message: 'the model would not answer' });
    case 'unreadable':
      return failure('brokenAnswer', {
        status: 200,
        message: sign.what,
        hadBegun: sign.hadBegun,
      });
  }
}

const lateKinds = {
  whole: 'timeout',
  firstToken: 'firstTokenTimeout',
  idle: 'brokenAnswer',
  cancelled: 'cancelled',
} as const satisfies Record<LateLimit, FailureKind>;

const lateWords: Record<LateLimit, string> = {
  whole: 'no answer within its time',
  firstToken: 'no token within the limit',
  idle: 'silence in the middle of the answer',
  cancelled: 'called off',
};

function saidFailure(
  { status, header, body, hadBegun }: Extract<AttemptSign, { is: 'said' }>,
  { model, now, unspeakable }: AttemptPlace,
): LlmFailure {
  const error = errorIn({ status, header, body, now });
  const kind = kindOf(error);
  return failure(hadBegun && failureKinds[kind] !== 'request' ? 'brokenAnswer' : kind, {
    status: error.status,
    message: wordsOf(error.message, unspeakable) || `HTTP ${error.status}`,
    vendorCode: codeOf(error, unspeakable),
    // What resets at an instant may be asked for again right after it.
    retryAfterMs:
      error.retryAfterMs ?? (error.resetsAt === null ? null : Math.max(error.resetsAt - now, 0)),
    resetsAt: error.resetsAt,
    isFreeClass:
      limitKinds.has(kind) && (model.endsWith(':free') || /\bfree-models-per-/.test(error.message)),
    fallbackModels: error.fallbackModels,
    hadBegun,
  });
}

function kindOf(error: VendorError): FailureKind {
  return kindOfPage(error) ?? kindOfNames(error) ?? kindOfStatus(error);
}

// A page of the edge in front of the vendor, which knows nothing of keys and models. What it forbids
// or limits is over soon, and is nobody's fault here.
function kindOfPage({ status, page }: VendorError): FailureKind | null {
  const isLimited = page !== null && (status === 429 || status === 403 || /\b1015\b/.test(page));
  return isLimited ? 'edgeRateLimit' : null;
}

// ---------------------------------------------------------------------------- by name

function kindOfNames(error: VendorError): FailureKind | null {
  // 403 with the instant of its end: a budget, whatever it is called.
  if (error.status === 403 && (error.resetsAt !== null || error.limitSource !== null)) {
    return error.resetsAt === null && error.limitSource === 'openrouter_key_limit'
      ? 'keyLimit'
      : 'budgetSpent';
  }
  if (error.status === 402) {
    return kindOfPayment(error);
  }
  if (error.isModerated) {
    return 'moderation';
  }
  for (const name of error.names) {
    const kind =
      kindsByName.get(name) ?? (name.startsWith('image_') ? 'invalidRequest' : undefined);
    if (name === 'invalid_request' && error.status === 400) {
      // As vague as the status itself: the words say whether it is the model.
      return kindOfStatus(error);
    }
    if (kind !== undefined) {
      return kind === 'rateLimit' ? kindOfRateLimit(error) : kind;
    }
  }
  return null;
}

function kindOfPayment({ limitSource, names, message }: VendorError): FailureKind {
  // The request's own reason says more than whose budget it did not fit.
  const said = [...names, limitSource].find((name) => name !== null && paymentKinds.has(name));
  if (said !== undefined && said !== null) {
    return paymentKinds.get(said) ?? 'credits';
  }
  if (/\bin.flight\b/i.test(message)) {
    return 'inFlightBudget';
  }
  if (/\bkey\b.{0,40}\blimit\b|\blimit\b.{0,40}\bkey\b/i.test(message)) {
    return 'keyLimit';
  }
  return /\bcan only afford\b|\bfewer max_tokens\b/i.test(message) ? 'exceedsBalance' : 'credits';
}

const paymentKinds = new Map<string, FailureKind>([
  ['openrouter_credits', 'credits'],
  ['openrouter_key_limit', 'keyLimit'],
  ['openrouter_in_flight_budget', 'inFlightBudget'],
  ['weight_exceeds_budget', 'exceedsBalance'],
]);

function kindOfRateLimit({ isOfProvider, hasLimitHeaders, message }: VendorError): FailureKind {
  if (isOfProvider) {
    return 'upstreamRateLimit';
  }
  const speaksOfProvider = /\bprovider returned error\b|\bupstream\b/i.test(message);
  return !hasLimitHeaders && speaksOfProvider ? 'upstreamRateLimit' : 'platformRateLimit';
}

// Names that several statuses share, of OpenRouter and of those that speak as OpenAI does.
const kindsByName = new Map<string, FailureKind | 'rateLimit'>([
  ['invalid_request', 'invalidRequest'],
  ['invalid_prompt', 'invalidRequest'],
  ['string_too_long', 'invalidRequest'],
  ['invalid_image', 'invalidRequest'],
  ['payload_too_large', 'invalidRequest'],
  ['unprocessable', 'invalidRequest'],
  ['unsupported_value', 'invalidRequest'],
  ['precondition_failed', 'invalidRequest'],
  ['context_length_exceeded', 'contextLength'],
  ['token_limit_exceeded', 'tokenLimit'],
  ['content_policy', 'refused'],
  ['content_policy_violation', 'refused'],
  ['content_filter', 'refused'],
  ['refusal', 'refused'],
  ['authentication', 'authentication'],
  ['authentication_error', 'authentication'],
  ['invalid_api_key', 'authentication'],
  ['payment_required', 'credits'],
  ['insufficient_credits', 'credits'],
  ['insufficient_quota', 'credits'],
  ['moderation', 'moderation'],
  ['guardrail', 'moderation'],
  ['guardrail_violation', 'moderation'],
  ['budget_exceeded', 'budgetSpent'],
  ['region_restricted', 'notPermitted'],
  ['permission', 'notPermitted'],
  ['permission_denied', 'notPermitted'],
  ['no_endpoints', 'modelUnavailable'],
  ['no_endpoints_found', 'modelUnavailable'],
  ['deprecated', 'modelUnavailable'],
  ['model_deprecated', 'modelUnavailable'],
  ['model_not_found', 'modelUnavailable'],
  ['privacy', 'modelUnavailable'],
  ['constraint', 'modelUnavailable'],
  ['rate_limit', 'rateLimit'],
  ['rate_limited', 'rateLimit'],
  ['rate_limit_exceeded', 'rateLimit'],
  ['capacity_exhausted', 'upstreamRateLimit'],
  ['timeout', 'timeout'],
  ['request_timeout', 'timeout'],
  ['gateway_timeout', 'timeout'],
  ['edge_network_timeout', 'timeout'],
  ['server', 'serverError'],
  ['server_error', 'serverError'],
  ['internal_server_error', 'serverError'],
  ['overloaded', 'serverError'],
  ['provider_overloaded', 'serverError'],
  ['provider_unavailable', 'serverError'],
  ['service_unavailable', 'serverError'],
]);

// What a call is refused for by limits, where the class of free models counts for itself.
const limitKinds: ReadonlySet<FailureKind> = new Set(['platformRateLimit', 'upstreamRateLimit']);

// --------------------------------------------------------------------------- by status

function kindOfStatus(error: VendorError): FailureKind {
  const kind = kindsByStatus[error.status];
  if (kind !== undefined) {
    return typeof kind === 'function' ? kind(error) : kind;
  }
  // 3xx: no redirect is followed, so whoever answered is not the vendor.
  return error.status >= 400 && error.status < 500 ? 'invalidRequest' : 'serverError';
}

const kindsByStatus: Readonly<Record<number, FailureKind | ((error: VendorError) => FailureKind)>> =
  {
    400: ({ message }) => {
      if (/\bcontext length\b|\bmaximum context\b|\bcontext window\b/i.test(message)) {
        return 'contextLength';
      }
      return /\bnot a valid model\b/i.test(message) ? 'modelUnavailable' : 'invalidRequest';
    },
    401: 'authentication',
    403: ({ message }) => {
      if (/\bkey limit\b/i.test(message)) {
        return 'keyLimit';
      }
      return /\bmoderation\b|\bflagged\b|\bguardrail\b/i.test(message)
        ? 'moderation'
        : 'notPermitted';
    },
    404: ({ message }) =>
      /\bno (allowed |available )?(endpoints|providers)\b|\bmodel\b|\bdeprecated\b|\bdata policy\b/i.test(
        message,
      )
        ? 'modelUnavailable'
        : 'invalidRequest',
    408: 'timeout',
    // Somebody else is at it.
    409: 'serverError',
    425: 'serverError',
    429: kindOfRateLimit,
    504: 'timeout',
    524: 'timeout',
  };

// -------------------------------------------------------------------------------------

function codeOf({ names, limitSource, providerCode }: VendorError, unspeakable: Unspeakable) {
  const code = limitSource ?? names[0] ?? providerCode;
  return code === null ? null : wordsOf(code, unspeakable).slice(0, 100) || null;
}

function failure(
  kind: FailureKind,
  known: Partial<LlmFailure> & Pick<LlmFailure, 'message'>,
): LlmFailure {
  return {
    kind,
    scope: failureKinds[kind],
    status: null,
    vendorCode: null,
    retryAfterMs: null,
    resetsAt: null,
    isFreeClass: false,
    fallbackModels: [],
    hadBegun: false,
    ...known,
  };
}
