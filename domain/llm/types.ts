/** A part of what somebody says: text, or a picture by its address (https or data). */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly url: string };

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as the model wrote it: it may be wrong. */
  readonly arguments: string;
}

export type ChatMessage =
  | { readonly role: 'system' | 'user'; readonly content: string | readonly ContentPart[] }
  | {
      readonly role: 'assistant';
      readonly content: string | null;
      readonly toolCalls?: readonly ToolCall[];
    }
  | { readonly role: 'tool'; readonly toolCallId: string; readonly content: string };

export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What an answer must fit. */
export interface AnswerSchema {
  /** At most 64 of letters, digits, `_` and `-`. */
  readonly name: string;
  /** JSON Schema. */
  readonly schema: Readonly<Record<string, unknown>>;
}

/** What one attempt asks of one model. */
export interface ChatCall {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  readonly temperature: number | null;
  readonly tools: readonly Tool[];
  readonly schema: AnswerSchema | null;
  /** Opaque: which conversation it belongs to, so that the vendor may keep its prompt cache. */
  readonly sessionId: string | null;
  /** Opaque: whose end user it is, for the vendor's own abuse control. */
  readonly endUser: string | null;
  /** Whether long system messages are marked to be cached by the vendor. */
  readonly cachesPrompt: boolean;
}

/** What a call used, as the vendor counted it. */
export interface TokenUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt: read from the vendor's cache. */
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
  /** In millionths of a US dollar; null when the vendor says none. */
  readonly costMicros: number | null;
}

export type FinishReason = 'stop' | 'length' | 'toolCalls' | 'contentFilter';

/** A whole answer of one attempt. */
export interface ChatReply {
  /** The vendor's id of it, by which its cost can be asked for later. */
  readonly generationId: string | null;
  /** Which model answered: the one that is billed. */
  readonly model: string;
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly usage: TokenUsage;
}

/** A piece of an answer that streams. Its last one is `end`. */
export type ChatPiece =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'end'; readonly reply: ChatReply };

/** Who goes first where room is short. */
export const llmPriorities = ['interactive', 'transactional', 'bulk'] as const;

export type LlmPriority = (typeof llmPriorities)[number];

/** What becomes of the part that has come when an answer breaks off in the middle. */
export type ChatConsumer =
  /** Nobody saw it: it is dropped and all of it asked for again. */
  | 'buffered'
  /** It was shown and can be taken back: a `reset`, then all of it again. */
  | 'resettable'
  /** It was passed on as it came: the stream ends with the error. */
  | 'raw';

/** Price of a model, in millionths of a US dollar for a million tokens, or for one of the others. */
export interface ModelPrices {
  readonly promptMicrosPerMillion: number;
  readonly completionMicrosPerMillion: number;
  readonly cachedMicrosPerMillion: number;
  readonly requestMicros: number;
  readonly imageMicros: number;
}

/** Who sells calls to models; `openai` is any endpoint that speaks OpenAI's protocol. */
export const llmVendors = ['openrouter', 'openai'] as const;

export type LlmVendor = (typeof llmVendors)[number];

/** How a key or an account stands by a person's word. */
export const keyStandings = ['active', 'draining', 'paused', 'revoked'] as const;

export type KeyStanding = (typeof keyStandings)[number];

/** What people say of a whole account: its keys are revoked one by one. */
export type AccountStanding = Exclude<KeyStanding, 'revoked'>;

/** How something stands by what its calls and probes showed; healthy things have no such state. */
export const healthStates = ['cooling', 'suspended', 'draining'] as const;

export type HealthState = (typeof healthStates)[number];

/** How a key stands in all: by a person's word, or else by what was seen of it or its account. */
export const keyStates = ['active', 'paused', 'revoked', ...healthStates] as const;

export type KeyState = (typeof keyStates)[number];

/** What health is kept of. */
export const healthScopes = ['key', 'account', 'accountModel', 'model', 'platform'] as const;

export type HealthScope = (typeof healthScopes)[number];

/** The platform's own pool of keys; a tenant's pool has the tenant's id. */
export const platformPool = '00000000-0000-0000-0000-000000000000';
