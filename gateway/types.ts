import type { FailureKind, LlmFailure } from '../domain/llm/failures';
import type {
  AnswerSchema,
  ChatConsumer,
  ChatMessage,
  HealthScope,
  HealthState,
  LlmPriority,
  TokenUsage,
  Tool,
  ToolCall,
  FinishReason,
} from '../domain/llm/types';
import type { LlmCredentials } from '../providers/llm/types';

// The door of everything that asks a model for something, and the three parts behind it: the ring
// chooses keys, the ledger reserves and records money, the gateway does what the request needs.

/** Who asks, and for what: what is reserved, recorded and billed by. */
export interface Asker {
  readonly tenantId: string;
  readonly userId: string | null;
  /** One lower-case word: `script`, `content`, `chat`. */
  readonly feature: string;
  readonly workflowId: string | null;
}

export interface ChatAsk {
  readonly asker: Asker;
  /** Null for the tenant's, or the platform's, default. */
  readonly model: string | null;
  /** Tried in this order after it; null for the catalogue's. */
  readonly fallbackModels: readonly string[] | null;
  readonly messages: readonly ChatMessage[];
  /** Null for the model's own default; 0 lets an answer come from the cache. */
  readonly temperature: number | null;
  readonly maxTokens: number;
  readonly tools: readonly Tool[];
  readonly schema: AnswerSchema | null;
  readonly priority: LlmPriority;
  /** Opaque: calls of one conversation stay with one account while it is well. */
  readonly conversation: string | null;
  readonly consumer: ChatConsumer;
  /** From now to the whole answer, with all attempts. */
  readonly deadlineMs: number;
  /** Null for the default. */
  readonly firstTokenMs: number | null;
}

export interface ChatAnswer {
  readonly callId: string;
  readonly model: string;
  readonly text: string;
  /** What the text says when a schema was asked for, checked against it; else null. */
  readonly json: unknown;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly usage: TokenUsage;
  readonly costMicros: number;
  /** How many calls to the vendor it took; 0 from the cache. */
  readonly attempts: number;
  /** The name of the account that answered, as people gave it; null from the cache. */
  readonly account: string | null;
}

/** What streams to a consumer. The last one is `done`; an error is thrown, as an AppError. */
export type ChatEvent =
  | { readonly type: 'text'; readonly text: string }
  /** What came so far is void: it begins again. Only for consumers that can take it back. */
  | { readonly type: 'reset' }
  | { readonly type: 'done'; readonly answer: ChatAnswer };

export interface LlmGateway {
  /** @throws AppError planLimit (402), invalid, providerFailed (502), unavailable (503 with retry-after), tooSlow */
  chat(ask: ChatAsk, options?: { signal?: AbortSignal }): Promise<ChatAnswer>;
  stream(ask: ChatAsk, options?: { signal?: AbortSignal }): AsyncIterable<ChatEvent>;
  embed(
    ask: Pick<ChatAsk, 'asker' | 'model' | 'priority' | 'deadlineMs'> & {
      readonly inputs: readonly string[];
      readonly dimensions: number | null;
    },
    options?: { signal?: AbortSignal },
  ): Promise<{ callId: string; vectors: number[][]; model: string; costMicros: number }>;
  image(
    ask: Pick<ChatAsk, 'asker' | 'model' | 'priority' | 'deadlineMs'> & {
      readonly prompt: string;
      readonly n: number;
      readonly size: string | null;
    },
    options?: { signal?: AbortSignal },
  ): Promise<{
    callId: string;
    images: { base64: string; mediaType: string }[];
    model: string;
    costMicros: number;
  }>;
}

/** A key that was chosen, with its place among its account's calls taken until `release`. */
export interface ChosenKey {
  readonly keyId: string;
  readonly accountId: string;
  readonly accountName: string;
  /** The platform's pool or the tenant's. */
  readonly poolId: string;
  readonly vendor: 'openrouter' | 'openai';
  readonly credentials: LlmCredentials;
  /** Whether this call finds out if the key is well again: one at a time does. */
  readonly isTrial: boolean;
  release(): void;
}

export interface SkippedKey {
  readonly keyId: string;
  readonly accountId: string;
  /** `cooling`, `suspended`, `paused`, `draining`, `full`, `modelNotAllowed`, `expired`, `tried` … */
  readonly why: string;
  readonly until: number | null;
}

export interface NoKey {
  /** The earliest instant at which one may serve again, in ms; null when nothing says when. */
  readonly retryAt: number | null;
  /** Whether keys are well and only have no room at this moment. */
  readonly isFull: boolean;
  readonly skipped: readonly SkippedKey[];
}

export interface KeyAsk {
  /** In order: the first pool that has a key to serve. */
  readonly poolIds: readonly string[];
  readonly model: string;
  readonly conversation: string | null;
  readonly priority: LlmPriority;
  readonly withoutKeys: ReadonlySet<string>;
  readonly withoutAccounts: ReadonlySet<string>;
  /** This key and no other: a repair, a context that was trimmed. */
  readonly onlyKey?: string;
}

/** What an attempt showed. Told once for each, whatever became of it. */
export interface AttemptSeen {
  readonly key: Pick<ChosenKey, 'keyId' | 'accountId' | 'poolId' | 'isTrial'>;
  readonly model: string;
  /** Null where it succeeded. */
  readonly failure: LlmFailure | null;
  readonly firstTokenMs: number | null;
  readonly totalMs: number;
}

/** Keys and their health, in the memory of this process; right within 50 ms of a change anywhere. */
export interface Ring {
  /** Takes no database call and no promise. */
  choose(ask: KeyAsk): ChosenKey | NoKey;
  /** Applies what it means here at once, and writes it down for everybody else. */
  seen(attempt: AttemptSeen): void;
  /** Resolves when a key may have become free or well, or after the time. */
  changed(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Null while the model is well in this pool; else until when it is not asked, and why. */
  modelDown(poolId: string, model: string): { until: number; reason: FailureKind } | null;
  /** The pools a tenant's calls may use, in order, by its settings. */
  poolsOf(tenantId: string): readonly string[];
  /** The keys of these pools, or of all, as this process knows them. */
  snapshot(poolIds?: readonly string[]): readonly RingKey[];
  /** Waits until everything that was seen is written down. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** One key as a process knows it. */
export interface RingKey {
  readonly keyId: string;
  readonly accountId: string;
  readonly poolId: string;
  /** The worst of what holds: of a person's word, of its own health and of its account's. */
  readonly state: 'active' | 'revoked' | 'paused' | 'expired' | HealthState;
  readonly scope: HealthScope | null;
  readonly reason: string | null;
  readonly until: number | null;
  readonly inFlight: number;
}

/** Money: reserved before a call, settled after it. One row a call. */
export interface CallLedger {
  /**
   * Reserves the estimate under every budget that holds, or refuses.
   * @throws AppError planLimit (402), with the budget that is spent in its words and details
   */
  open(call: OpenCall): Promise<void>;
  /**
   * Raises what is reserved for an open call to this much in all, under the budgets it was opened
   * under, or refuses; what is reserved already stays. Doing it twice is doing it once.
   * @throws AppError planLimit (402), as `open` does
   */
  reserveMore(call: Pick<OpenCall, 'callId' | 'estimateMicros'>): Promise<void>;
  /** Records what became of it. It is never waited for: what is not recorded when a process dies is
   * settled by its estimate. */
  settle(call: SettledCall): void;
  /** Keeps what was asked and answered, sealed, where the tenant wants it kept; else does nothing. */
  keepPrompt(prompt: { callId: string; tenantId: string; content: string }): void;
  /** Waits until everything that was settled is recorded. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface OpenCall {
  readonly callId: string;
  readonly asker: Asker;
  readonly kind: 'chat' | 'embedding' | 'image';
  readonly model: string;
  /** The most it can cost, in micros. */
  readonly estimateMicros: number;
  /**
   * Whether the platform's keys may serve it: then it is reserved under what the tenant's plan allows,
   * too. Where that is spent (`details.scope` is `plan`), it may be opened again for own keys alone.
   */
  readonly mayUsePlatform: boolean;
  readonly isStreamed: boolean;
  /** Past it nobody works on it any more. */
  readonly expiresAt: Date;
}

export interface SettledCall {
  readonly callId: string;
  readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'cached';
  readonly failureKind: FailureKind | null;
  readonly model: string | null;
  readonly keyId: string | null;
  readonly accountId: string | null;
  /** Whose key it was: the platform's pool, or the tenant's. Null when none was called. */
  readonly poolId: string | null;
  readonly usage: TokenUsage | null;
  /** Of all its attempts; what is not among theirs is booked to the call's own key. */
  readonly costMicros: number;
  readonly costSource: 'vendor' | 'prices' | 'estimate' | 'none';
  readonly firstTokenMs: number | null;
  readonly totalMs: number;
  readonly attempts: readonly SettledAttempt[];
}

export interface SettledAttempt {
  readonly n: number;
  readonly keyId: string;
  readonly accountId: string;
  readonly poolId: string;
  readonly usage: TokenUsage | null;
  readonly costMicros: number;
  readonly costSource: SettledCall['costSource'];
  readonly model: string;
  readonly failureKind: FailureKind | null;
  readonly status: number | null;
  readonly generationId: string | null;
  readonly firstTokenMs: number | null;
  readonly totalMs: number;
  readonly startedAt: Date;
}
