import type { AppError } from '../domain/errors';
import { LlmAttemptError, type LlmFailure } from '../domain/llm/failures';
import {
  counts,
  draws,
  maxCountedAttempts,
  nextSteps,
  type FailedAttempt,
  type Step,
} from '../domain/llm/reactions';
import type { RetryBudgets } from '../domain/llm/retryBudget';
import { platformPool, type LlmPriority, type TokenUsage } from '../domain/llm/types';
import { newId } from '../lib/ids';
import type { Logger } from '../lib/logger';
import type { CallOptions, LlmProvider } from '../providers/llm/types';
import { CallRecord, type RecordDeps } from './CallRecord';
import {
  deadlineError,
  failureError,
  isPlanSpent,
  noKeyError,
  type FaultField,
} from './callErrors';
import { billedModel, costOf, costOfFailed, type AttemptFailure } from './attemptCosts';
import type { AttemptCost } from './costs';
import { isKey, KeyQueue, type KeyStep } from './KeyQueue';
import { ModelLine } from './ModelLine';
import { mostCost, type AskSize } from './models';
import { closingError, type OpenRuns } from './OpenRuns';
import { ownFailure } from './ownFailure';
import type { Asker, ChosenKey, NoKey, Ring, SettledCall } from './types';

/** What requests are carried out with. */
export interface RunDeps extends RecordDeps {
  readonly ring: Ring;
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

const minWholeMs = 10_000;
// A model that had less time than this is not blamed for having taken longer.
const fairTimeMs = 2_000;
// With less time than this left there is no use in another attempt.
const leastMs = 50;
// Past the deadline the vendor may still be asked what a broken answer cost.
const afterDeadlineMs = 60_000;

/**
 * One request on its way through attempts: whom it asked, what failed, what may be tried next. The
 * rules are those of `domain/llm/reactions.ts`; the ring says what there is to choose from.
 */
export class Run {
  readonly callId = newId();
  readonly signal: AbortSignal;
  /** Whether somebody saw a part of the answer who cannot take it back. */
  isShown = false;

  private readonly startedAt = Date.now();
  private readonly deadlineAt: number;
  private readonly failed: FailedAttempt[] = [];
  private readonly controller = new AbortController();
  private readonly record: CallRecord;
  private readonly poolIds: readonly string[];
  private readonly models: ModelLine;
  private readonly keys: KeyQueue;

  private constructor(
    private readonly deps: RunDeps,
    private readonly ask: RunAsk,
    hasPlatform: boolean,
  ) {
    this.deadlineAt = this.startedAt + ask.deadlineMs;
    this.signal = this.controller.signal;
    this.poolIds = deps.ring
      .poolsOf(ask.asker.tenantId)
      .filter((id) => hasPlatform || id !== platformPool);
    this.models = new ModelLine(deps, ask.models, this.poolIds);
    this.keys = new KeyQueue(deps, {
      poolIds: this.poolIds,
      priority: ask.priority,
      conversation: ask.conversation,
      deadlineAt: this.deadlineAt - leastMs,
      signal: this.signal,
      check: () => this.checkTime(),
    });
    this.record = new CallRecord(deps, {
      callId: this.callId,
      asker: ask.asker,
      kind: ask.kind,
      model: ask.models[0],
      mayUsePlatform: this.poolIds.includes(platformPool),
      isStreamed: ask.isStreamed,
      estimateMicros: ask.estimateMicros,
      startedAt: this.startedAt,
      expiresAt: new Date(this.deadlineAt + afterDeadlineMs),
    });
  }

  /**
   * Reserves what the request may cost. Where the tenant's plan pays for no more, its own keys may
   * still serve it.
   *
   * @throws AppError planLimit when a budget is spent; nothing was called then
   */
  static async open(deps: RunDeps, ask: RunAsk): Promise<Run> {
    ask.signal?.throwIfAborted();
    deps.runs.check();
    const run = new Run(deps, ask, true);
    try {
      await run.record.open();
      return run.hooked();
    } catch (error) {
      const own = new Run(deps, ask, false);
      if (!isPlanSpent(error) || own.poolIds.length === 0) {
        throw error;
      }
      await own.record.open();
      return own.hooked();
    }
  }

  get attemptCount(): number {
    return this.record.attemptCount;
  }

  get costMicros(): number {
    return this.record.costMicros;
  }

  /**
   * The next attempt, with a place of its key taken. Apart, it can be called off without the others.
   *
   * @throws AppError where the request fails: by what its last attempt showed, or for want of a key
   */
  async place({ isApart = false } = {}): Promise<Place> {
    const last = this.failed.at(-1);
    this.checkTime();
    if (last === undefined) {
      const first = await this.take(() => this.firstSteps(), isApart);
      this.deps.retryBudgets.asked(first.key.poolId, Date.now());
      return first;
    }
    if (this.stepsAfter().length === 0) {
      throw this.errorOf(last);
    }
    if (draws(last.failure.kind) && !this.deps.retryBudgets.take(last.poolId, Date.now())) {
      this.deps.metrics.retryRefused();
      throw this.errorOf(last);
    }
    const place = await this.take(() => this.stepsAfter(), isApart);
    if (place.model !== last.model || place.key.keyId !== last.keyId) {
      this.deps.metrics.rotated(place.model === last.model ? 'key' : 'model');
    }
    return place;
  }

  /**
   * A second attempt beside a slow first one, on another account; null where there is none, where
   * nothing is left to pay for it, or where the first is over by then.
   */
  async placeBeside(first: Place, isOver: () => boolean): Promise<Place | null> {
    const counted = this.failed.filter(({ failure }) => counts(failure.kind)).length;
    if (counted + 2 > maxCountedAttempts) {
      return null;
    }
    const asked = [...this.failed, first.key];
    const key = this.keys.choose({
      model: first.model,
      withoutKeys: new Set(asked.map(({ keyId }) => keyId)),
      withoutAccounts: new Set(asked.map(({ accountId }) => accountId)),
    });
    if (!isKey(key)) {
      return null;
    }
    if (!(await this.mayPayBeside(first)) || isOver()) {
      key.release();
      return null;
    }
    if (!this.deps.retryBudgets.take(key.poolId, Date.now())) {
      key.release();
      return null;
    }
    this.deps.metrics.hedged();
    return this.begin(key, { model: first.model, way: 'hedge' }, true);
  }

  /** The vendor answered; whether the answer is of use is for the caller to say. */
  answered(place: Place, { model, usage, generationId }: Answered, seen: Seen) {
    const { firstTokenMs, writtenTokens } = seen;
    this.leavePlace(
      place,
      { failure: null, generationId, firstTokenMs },
      {
        cost: costOf(this.deps.catalogue, place, { usage, model, writtenTokens }),
        question: null,
      },
    );
  }

  /** The attempt failed. What came of its answer until then is billed all the same. */
  failedAt(place: Place, error: unknown, seen: Seen): void {
    const { failure, generationId, begun } = this.attemptErrorOf(error);
    const { firstTokenMs } = seen;
    const cost = costOfFailed(this.deps.catalogue, place, {
      error: { failure, generationId, begun },
      writtenTokens: seen.writtenTokens,
      isStreamed: this.ask.isStreamed,
    });
    this.leavePlace(place, { failure, generationId, firstTokenMs }, cost);
    this.models.propose(failure.fallbackModels);
    this.failed.push(failedAttempt(place, failure));
  }

  /** The vendor answered, but not what was asked for: nothing is held against the key or the model. */
  unfit(place: Place, failure: LlmFailure): void {
    this.failed.push(failedAttempt(place, failure));
  }

  /** The first token of the answer that lasts: what was taken back does not count. */
  tokenCame(place: Place, firstTokenMs: number): void {
    this.record.tokenCame(place.startedAt + firstTokenMs);
  }

  /** The model by which an answer is billed: by the name the vendor gave, if it is one that is known. */
  modelOf(answering: string, asked: string): string {
    return billedModel(this.deps.catalogue, { answering, asked });
  }

  succeeded(place: Place, model: string): void {
    // What was called off beside it did not need saving.
    if (this.failed.some(({ failure }) => failure.kind !== 'cancelled')) {
      this.deps.metrics.saved();
    }
    this.end('succeeded', { model: this.modelOf(model, place.model), key: place.key });
  }

  /** The answer was there already. */
  cached(model: string): void {
    this.end('cached', { model: this.modelOf(model, this.ask.models[0]), key: null });
  }

  /** Ends with an error, and says what the caller gets. */
  failedWith(error: unknown): unknown {
    const isGone = this.ask.signal?.aborted === true;
    this.end(isGone ? 'cancelled' : 'failed', null);
    return isGone ? this.ask.signal?.reason : error;
  }

  /** Calls off whatever is under way. */
  abort(): void {
    this.controller.abort();
  }

  /** Ends what has not ended: whoever asked does not want it any more. */
  close(): void {
    this.end('cancelled', null);
  }

  // ------------------------------------------------------------------ on the way

  private readonly leave = () => this.controller.abort();

  private hooked(): this {
    this.ask.signal?.addEventListener('abort', this.leave, { once: true });
    this.deps.runs.add(this);
    return this;
  }

  private firstSteps(): KeyStep[] {
    return this.models.up().map((model) => ({
      way: model === this.ask.models[0] ? 'first' : 'otherModel',
      model,
      waitMs: 0,
    }));
  }

  private stepsAfter(): Step[] {
    const { shape } = this.ask;
    const model = this.failed.at(-1)?.model ?? this.ask.models[0];
    const otherModels = this.models.others(new Set(this.failed.map((one) => one.model)));
    return nextSteps(
      {
        failed: this.failed,
        otherModels,
        largerModel: this.models.larger(model, otherModels),
        modelDownUntil: this.models.downUntil(model),
        canTrim: shape.canTrim(),
        canLowerTokens: shape.canLowerTokens(),
        isShown: this.isShown,
        deadlineAt: this.deadlineAt - leastMs,
      },
      { now: Date.now(), random: Math.random() },
    );
  }

  private async take(steps: () => readonly KeyStep[], isApart: boolean): Promise<Place> {
    const taken = await this.keys.take(steps, () => this.models.upAt());
    if ('none' in taken) {
      throw this.errorWithout(taken.none);
    }
    const { key, step } = taken;
    this.ask.shape.change(step.way, step.model);
    if (this.failed.length > 0) {
      try {
        await this.record.reserve(this.mostOf(step.model));
        this.checkTime();
      } catch (error) {
        key.release();
        throw error;
      }
    }
    return this.begin(key, step, isApart);
  }

  private mostOf(model: string): number {
    return mostCost(this.deps.catalogue, [model], this.ask.shape.size());
  }

  private async mayPayBeside({ model }: Place): Promise<boolean> {
    try {
      await this.record.reserve(2 * this.mostOf(model));
      return true;
    } catch (error) {
      this.deps.logger.debug(
        { err: error, callId: this.callId },
        'no second call beside a slow one',
      );
      return false;
    }
  }

  private begin(
    key: ChosenKey,
    { model, way }: { model: string; way: FailedAttempt['way'] },
    isApart: boolean,
  ): Place {
    const startedAt = Date.now();
    const timeoutMs = Math.max(1, this.deadlineAt - startedAt);
    const wholeMs = Math.max(minWholeMs, Math.ceil(timeoutMs / 2));
    const own = isApart ? new AbortController() : this.controller;
    return {
      key,
      provider: this.deps.providerOf(key.vendor),
      model,
      way,
      size: this.ask.shape.size(),
      startedAt,
      options: {
        signal: isApart ? AbortSignal.any([this.signal, own.signal]) : this.signal,
        timeoutMs,
        firstTokenMs: Math.min(timeoutMs, this.ask.firstTokenMs ?? wholeMs),
        idleMs: this.deps.idleMs,
      },
      stop: () => own.abort(),
    };
  }

  private leavePlace(
    { key, model, startedAt, options }: Place,
    {
      failure,
      generationId,
      firstTokenMs,
    }: { failure: LlmFailure | null; generationId: string | null; firstTokenMs: number | null },
    cost: AttemptCost,
  ) {
    const totalMs = Date.now() - startedAt;
    this.deps.ring.seen({
      key,
      model,
      failure: failure !== null && this.isHaste(failure, options) ? calledOff : failure,
      firstTokenMs,
      totalMs,
    });
    key.release();
    const { keyId, accountId, poolId } = key;
    this.record.attempted(
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

  // The request's own time was nearly over: the model is not to blame.
  private isHaste({ kind, status }: LlmFailure, { timeoutMs, firstTokenMs }: CallOptions): boolean {
    if (status !== null || timeoutMs >= fairTimeMs) {
      return false;
    }
    const asked = this.ask.firstTokenMs ?? Infinity;
    return kind === 'timeout' || (kind === 'firstTokenTimeout' && firstTokenMs < asked);
  }

  private attemptErrorOf(error: unknown): AttemptFailure {
    if (error instanceof LlmAttemptError) {
      return error;
    }
    const { callId } = this;
    this.deps.logger.error({ err: error, callId }, 'a call to a model failed by a bug');
    return { failure: calledOff, generationId: null, begun: null };
  }

  // ------------------------------------------------------------------ ends

  private end(
    outcome: SettledCall['outcome'],
    by: { model: string; key: ChosenKey | null } | null,
  ) {
    this.ask.signal?.removeEventListener('abort', this.leave);
    const last = this.failed.at(-1);
    const failureKinds = {
      succeeded: null,
      cached: null,
      failed: last?.failure.kind ?? null,
      cancelled: 'cancelled' as const,
    };
    this.record.end({
      outcome,
      failureKind: failureKinds[outcome],
      model: by?.model ?? last?.model ?? null,
      keyId: by?.key?.keyId ?? last?.keyId ?? null,
      accountId: by?.key?.accountId ?? last?.accountId ?? null,
      poolId: by?.key?.poolId ?? last?.poolId ?? null,
    });
    this.deps.runs.delete(this);
  }

  private checkTime() {
    this.ask.signal?.throwIfAborted();
    if (this.signal.aborted) {
      throw closingError();
    }
    if (this.isLate()) {
      throw deadlineError();
    }
  }

  private isLate(): boolean {
    return Date.now() >= this.deadlineAt - leastMs;
  }

  /** What the caller is told when nothing more can be done about the last failure. */
  private errorOf({ failure, model }: FailedAttempt): AppError {
    if (failure.scope === 'request' || this.isShown) {
      return failureError(failure, this.ask.field);
    }
    if (this.isLate()) {
      return deadlineError();
    }
    const stands = this.standsStill(model, failure);
    return stands === null
      ? failureError(failure, this.ask.field)
      : noKeyError({ retryAt: stands.until, skipped: [] }, { now: Date.now(), failure });
  }

  private errorWithout(none: NoKey): AppError {
    const { callId } = this;
    this.deps.logger.debug({ callId, skipped: none.skipped }, 'no key for a call to a model');
    const last = this.failed.at(-1);
    return last === undefined
      ? noKeyError(
          { retryAt: none.retryAt ?? this.models.upAt(), skipped: none.skipped },
          { now: Date.now(), failure: null },
        )
      : this.errorOf(last);
  }

  // Whether others who ask for the model now are not served either, and until when; null while they are.
  private standsStill(model: string, failure: LlmFailure): { until: number | null } | null {
    const down = this.models.downUntil(model);
    if (down !== null) {
      return { until: down };
    }
    const keys = this.deps.ring.snapshot(this.poolIds);
    if (keys.every(({ state }) => state !== 'active' && state !== 'draining')) {
      const untils = keys.flatMap(({ until }) => until ?? []);
      return { until: untils.length === 0 ? null : Math.min(...untils) };
    }
    const { retryAfterMs } = failure;
    return retryAfterMs === null ? null : { until: Date.now() + retryAfterMs };
  }
}

const calledOff = ownFailure('cancelled', 'called off');

function failedAttempt({ key, model, way }: Place, failure: LlmFailure) {
  return { keyId: key.keyId, accountId: key.accountId, poolId: key.poolId, model, way, failure };
}
