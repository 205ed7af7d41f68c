import type { FailedAttempt } from '../domain/llm/reactions';
import type { RetryBudgets } from '../domain/llm/retryBudget';
import type { LlmPriority, TokenUsage } from '../domain/llm/types';
import type { Logger } from '../lib/logger';
import type { CallOptions, LlmProvider } from '../providers/llm/types';
import type { FaultField } from './callErrors';
import type { RecordDeps } from './CallRecord';
import type { KeyLine } from './KeyLine';
import type { AskSize } from './models';
import type { OpenRuns } from './OpenRuns';
import type { Asker, ChosenKey, Ring } from './types';

/** What requests are carried out with. */
export interface RunDeps extends RecordDeps {
  readonly ring: Ring;
  readonly line: KeyLine;
  readonly providerOf: (vendor: ChosenKey['vendor']) => LlmProvider;
  readonly retryBudgets: RetryBudgets;
  readonly runs: OpenRuns;
  /** The longest silence in the middle of an answer. */
  readonly idleMs: number;
  readonly logger: Logger;
}

/** What a request asks for, whatever kind it is of. */
export interface RunAsk {
  readonly asker: Asker;
  readonly kind: 'chat' | 'embedding' | 'image';
  /** The one that is asked, then those that may take its place. */
  readonly models: readonly [string, ...string[]];
  readonly priority: LlmPriority;
  readonly conversation: string | null;
  readonly deadlineMs: number;
  /** To the first token; null: an answer that comes whole gets half of the time that is left. */
  readonly firstTokenMs: number | null;
  readonly isStreamed: boolean;
  /** The most that one attempt costs with any of the models. */
  readonly estimateMicros: number;
  /** What to name when the request itself is at fault. */
  readonly field: FaultField;
  readonly shape: Shape;
  readonly signal: AbortSignal | undefined;
}

/** What can be done to the request itself when it does not fit. */
export interface Shape {
  canTrim(): boolean;
  canLowerTokens(): boolean;
  /** How large it is by now. */
  size(): AskSize;
  /** Changes it in the way that is taken, for the model that is asked next. */
  change(way: FailedAttempt['way'], model: string): void;
}

/** One attempt that is under way. */
export interface Place {
  readonly key: ChosenKey;
  readonly provider: LlmProvider;
  readonly model: string;
  readonly way: FailedAttempt['way'];
  readonly size: AskSize;
  readonly startedAt: number;
  readonly options: CallOptions;
  /** Calls off this attempt, and it alone where it stands apart. */
  stop(): void;
}

/** What an attempt brought beside its answer. */
export interface Answered {
  readonly model: string;
  readonly usage: TokenUsage;
  readonly generationId: string | null;
}

/** What is known of an attempt's time and size beside what the vendor told. */
export interface Seen {
  readonly firstTokenMs: number | null;
  /** About how many tokens the answer has. */
  readonly writtenTokens: number;
}
