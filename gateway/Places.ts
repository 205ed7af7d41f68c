import { LlmAttemptError, type LlmFailure } from '../domain/llm/failures';
import type { FailedAttempt } from '../domain/llm/reactions';
import { platformPool } from '../domain/llm/types';
import type { CallOptions } from '../providers/llm/types';
import { costOf, costOfFailed, type AttemptFailure } from './attemptCosts';
import type { CallRecord } from './CallRecord';
import type { AttemptCost } from './costs';
import { ownFailure } from './ownFailure';
import type { Answered, Place, RunAsk, RunDeps, Seen } from './runTypes';
import type { ChosenKey } from './types';

const minWholeMs = 10_000;
// A model that had less time than this is not blamed for having taken longer.
const fairTimeMs = 2_000;

interface PlacesOptions {
  readonly callId: string;
  readonly ask: Pick<RunAsk, 'firstTokenMs' | 'isStreamed' | 'shape'>;
  readonly deadlineAt: number;
  /** Calls off all of them. */
  readonly controller: AbortController;
  readonly record: CallRecord;
}

/**
 * The attempts of one request. Each has a key's place from its beginning to its end, and at its end
 * the ring, the record and the key are told what came of it.
 */
export class Places {
  constructor(
    private readonly deps: Pick<RunDeps, 'ring' | 'catalogue' | 'providerOf' | 'idleMs' | 'logger'>,
    private readonly options: PlacesOptions,
  ) {}

  /** Apart, an attempt can be called off without the others. */
  begin(
    key: ChosenKey,
    { model, way }: Pick<FailedAttempt, 'model' | 'way'>,
    { isApart }: { isApart: boolean },
  ): Place {
    const { ask, deadlineAt, controller } = this.options;
    const startedAt = Date.now();
    const timeoutMs = Math.max(1, deadlineAt - startedAt);
    const wholeMs = Math.max(minWholeMs, Math.ceil(timeoutMs / 2));
    const own = isApart ? new AbortController() : controller;
    return {
      key,
      provider: this.deps.providerOf(key.vendor),
      model,
      way,
      size: ask.shape.size(),
      startedAt,
      options: {
        signal: isApart ? AbortSignal.any([controller.signal, own.signal]) : controller.signal,
        timeoutMs,
        firstTokenMs: Math.min(timeoutMs, ask.firstTokenMs ?? wholeMs),
        idleMs: this.deps.idleMs,
      },
      stop: () => own.abort(),
    };
  }

  /** The vendor answered. */
  answered(place: Place, { model, usage, generationId }: Answered, seen: Seen): void {
    const { firstTokenMs, writtenTokens } = seen;
    const cost = costOf(this.deps.catalogue, place, { usage, model, writtenTokens });
    this.end(place, { failure: null, generationId, firstTokenMs }, { cost, question: null });
  }

  /** The attempt failed, and by what. What came of its answer until then is billed all the same. */
  failed(place: Place, error: unknown, { firstTokenMs, writtenTokens }: Seen): LlmFailure {
    const attemptError = this.attemptErrorOf(error);
    const { failure, generationId } = attemptError;
    const cost = costOfFailed(this.deps.catalogue, place, {
      error: attemptError,
      writtenTokens,
      isStreamed: this.options.ask.isStreamed,
    });
    this.end(place, { failure, generationId, firstTokenMs }, cost);
    return failure;
  }

  private attemptErrorOf(error: unknown): AttemptFailure {
    if (error instanceof LlmAttemptError) {
      return error;
    }
    const { callId } = this.options;
    this.deps.logger.error({ err: error, callId }, 'a call to a model failed by a bug');
    return { failure: calledOff, generationId: null, begun: null };
  }

  private end(
    place: Place,
    end: { failure: LlmFailure | null; generationId: string | null; firstTokenMs: number | null },
    cost: AttemptCost,
  ): void {
    const { key, model, startedAt } = place;
    const { failure, generationId, firstTokenMs } = end;
    const { keyId, accountId, poolId } = key;
    const totalMs = Date.now() - startedAt;
    this.deps.ring.seen({
      key,
      model,
      failure: failure === null || this.isLearnedFrom(place, failure) ? failure : calledOff,
      firstTokenMs,
      totalMs,
    });
    key.release();
    this.options.record.attempted(
      {
        keyId,
        accountId,
        poolId,
        model,
        failureKind: failure?.kind ?? null,
        status: failure?.status ?? null,
        generationId,
        firstTokenMs,
        totalMs,
        startedAt: new Date(startedAt),
      },
      cost,
    );
  }

  // What one tenant makes up is no model that others of the shared pool ask for, and room for what is
  // known of those is short.
  private isLearnedFrom({ key, model, options }: Place, failure: LlmFailure): boolean {
    const isOfModel = failure.scope === 'model' || failure.scope === 'accountModel';
    const isMadeUp =
      isOfModel && key.poolId === platformPool && this.deps.catalogue.priceOf(model) === null;
    return !isMadeUp && !this.isHaste(failure, options);
  }

  // The request's own time was nearly over: the model is not to blame.
  private isHaste({ kind, status }: LlmFailure, { timeoutMs, firstTokenMs }: CallOptions): boolean {
    if (status !== null || timeoutMs >= fairTimeMs) {
      return false;
    }
    const asked = this.options.ask.firstTokenMs ?? Infinity;
    return kind === 'timeout' || (kind === 'firstTokenTimeout' && firstTokenMs < asked);
  }
}

const calledOff = ownFailure('cancelled', 'called off');
