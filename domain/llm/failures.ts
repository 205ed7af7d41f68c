import type { TokenUsage } from './types';

/** Whose fault a failure is: what is left alone by the next attempt, and whose state changes. */
export const failureScopes = [
  'request',
  'key',
  'account',
  'accountModel',
  'model',
  'platform',
  'none',
] as const;

export type FailureScope = (typeof failureScopes)[number];

/** Every way in which a call to a model fails, as its provider classified it, with its scope. */
export const failureKinds = {
  /** 400, 404 without a model's reason, 412, 413, 422: the request is wrong wherever it goes. */
  invalidRequest: 'request',
  /** The prompt is longer than this model reads. */
  contextLength: 'request',
  /** The model would not answer, by its policy. */
  refused: 'request',
  /** 403 of a moderation or a guardrail. */
  moderation: 'request',
  /** The answer is no JSON of the schema that was asked for. */
  schemaMismatch: 'request',
  /** 401. */
  authentication: 'key',
  /** 402: the key's own limit is spent. */
  keyLimit: 'key',
  /** 403 with `resets_at`: the budget of the key or of its workspace is spent. */
  budgetSpent: 'key',
  /** 402: the account is out of credit. */
  credits: 'account',
  /** 402: too much is under way for the balance. */
  inFlightBudget: 'account',
  /** 402: this one request is larger than what is left. */
  exceedsBalance: 'account',
  /** 400: `max_tokens` is more than what is left pays for. */
  tokenLimit: 'account',
  /** 429 of the platform itself, for all keys of the account. */
  platformRateLimit: 'account',
  /** 403 of a region or a permission. */
  notPermitted: 'accountModel',
  /** 404: nobody serves the model, or not under the conditions that were asked for. */
  modelUnavailable: 'model',
  /** 429 of the model's provider. */
  upstreamRateLimit: 'model',
  /** 408, 504, 524. */
  timeout: 'model',
  /** 500, 502, 503, 529. */
  serverError: 'model',
  /** No token came within the limit. */
  firstTokenTimeout: 'model',
  /** An answer that says nothing. */
  emptyAnswer: 'model',
  /** The answer broke off: an error in the middle, silence, an end without its mark. */
  brokenAnswer: 'model',
  /** A page of the edge, 429 or 1015. */
  edgeRateLimit: 'platform',
  /** DNS, connect, TLS: nothing was sent. */
  unreachable: 'platform',
  /** Whoever asked is gone, or the deadline has passed. */
  cancelled: 'none',
} as const satisfies Record<string, FailureScope>;

export type FailureKind = keyof typeof failureKinds;

/** One failed attempt. Holds nothing of the prompt, of the answer or of the key. */
export interface LlmFailure {
  readonly kind: FailureKind;
  readonly scope: FailureScope;
  /** Of HTTP; null when nothing was answered. */
  readonly status: number | null;
  /** The vendor's words, cut to 300 characters, without secrets. */
  readonly message: string;
  /** The vendor's own name for it: `error_type`, `limit_source`, `provider_code`. */
  readonly vendorCode: string | null;
  /** Before which nothing is to be sent again; null when it was not said. */
  readonly retryAfterMs: number | null;
  /** When what is spent comes back, in ms since the epoch; null when it was not said. */
  readonly resetsAt: number | null;
  /** Whether the limit is that of free models (`:free`). */
  readonly isFreeClass: boolean;
  /** Models the vendor names in place of this one. */
  readonly fallbackModels: readonly string[];
  /** Whether some of an answer had come: its first token, not a comment. */
  readonly hadBegun: boolean;
}

/** What had come of an answer before its attempt failed: vendors bill for it all the same. */
export interface BegunAnswer {
  /** What the vendor said of it; null where it said nothing. */
  readonly usage: TokenUsage | null;
  /** About how many tokens had come, with thoughts that nobody is shown. */
  readonly writtenTokens: number;
}

/** What a provider throws: an attempt that failed, classified. */
export class LlmAttemptError extends Error {
  constructor(
    readonly failure: LlmFailure,
    /** The vendor's id of what it had begun, by which its cost can be asked for later. */
    readonly generationId: string | null = null,
    /** Null where no answer had been promised, or none of it came before the vendor's own error. */
    readonly begun: BegunAnswer | null = null,
  ) {
    super(`${failure.kind}: ${failure.message}`);
    this.name = 'LlmAttemptError';
  }
}
