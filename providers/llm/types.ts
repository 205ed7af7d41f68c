import type { ChatCall, ChatPiece, ChatReply, TokenUsage } from '../../domain/llm/types';

/** Where a call goes and by what right. */
export interface LlmCredentials {
  /** Without a slash at its end: `https://openrouter.ai/api/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string;
}

export interface CallOptions {
  /** Aborts the call, and with it what the vendor bills. */
  readonly signal: AbortSignal;
  /** From the start to the end of the answer. */
  readonly timeoutMs: number;
  /**
   * From the start to the first token; comments of the stream are none. Of a whole answer: to its
   * head, which some vendors send only when all of it is written, so leave it room.
   */
  readonly firstTokenMs: number;
  /** The longest silence in the middle of an answer that streams. */
  readonly idleMs: number;
}

/** What `GET /key` says of a key. Money in micros; null where there is no limit. */
export interface KeyStatus {
  readonly limitMicros: number | null;
  readonly limitRemainingMicros: number | null;
  readonly limitReset: 'daily' | 'weekly' | 'monthly' | null;
  readonly usageMicros: number;
  readonly isFreeTier: boolean;
  readonly expiresAt: number | null;
}

export interface CatalogueModel {
  readonly id: string;
  readonly name: string;
  readonly contextTokens: number;
  readonly maxOutputTokens: number | null;
  readonly inputModalities: readonly string[];
  readonly outputModalities: readonly string[];
  readonly parameters: readonly string[];
  readonly promptMicrosPerMillion: number;
  readonly completionMicrosPerMillion: number;
  readonly cachedMicrosPerMillion: number;
  readonly requestMicros: number;
  readonly imageMicros: number;
}

/**
 * A vendor of models. Every method rejects with `LlmAttemptError` alone, never retries, and puts no
 * part of a prompt or a key into an error.
 */
export interface LlmProvider {
  /** The whole answer. */
  chat(call: ChatCall, credentials: LlmCredentials, options: CallOptions): Promise<ChatReply>;
  /** The answer as it comes: pieces of text, then `end`. Rejects where it breaks off. */
  stream(
    call: ChatCall,
    credentials: LlmCredentials,
    options: CallOptions,
  ): AsyncIterable<ChatPiece>;
  embed(
    call: { model: string; inputs: readonly string[]; dimensions: number | null },
    credentials: LlmCredentials,
    options: CallOptions,
  ): Promise<{
    vectors: number[][];
    model: string;
    usage: TokenUsage;
    generationId: string | null;
  }>;
  image(
    call: { model: string; prompt: string; n: number; size: string | null },
    credentials: LlmCredentials,
    options: CallOptions,
  ): Promise<{
    images: { base64: string; mediaType: string }[];
    model: string;
    usage: TokenUsage;
    generationId: string | null;
  }>;
  /** Free of charge; a key that does not open it answers `authentication`. */
  keyStatus(
    credentials: LlmCredentials,
    options: Pick<CallOptions, 'signal' | 'timeoutMs'>,
  ): Promise<KeyStatus>;
  /** What is left of the account's credit, in micros. Asks for a management key. */
  credits(
    credentials: LlmCredentials,
    options: Pick<CallOptions, 'signal' | 'timeoutMs'>,
  ): Promise<{ remainingMicros: number }>;
  models(
    credentials: LlmCredentials,
    options: Pick<CallOptions, 'signal' | 'timeoutMs'>,
  ): Promise<CatalogueModel[]>;
  /** What an answer cost that broke off; null while the vendor does not know it. */
  generationCost(
    id: string,
    credentials: LlmCredentials,
    options: Pick<CallOptions, 'signal' | 'timeoutMs'>,
  ): Promise<TokenUsage | null>;
  close(): Promise<void>;
}
