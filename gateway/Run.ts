import type { AppError } from '../domain/errors';
import type { LlmFailure } from '../domain/llm/failures';
import { draws, maxCountedAttempts, type FailedAttempt } from '../domain/llm/reactions';
import { platformPool } from '../domain/llm/types';
import { newId } from '../lib/ids';
import { billedModel } from './attemptCosts';
import { deadlineError, isPlanSpent } from './callErrors';
import { CallRecord, endOf, type CallEnd, type EndedBy } from './CallRecord';
import { isKey, KeyQueue, type KeyStep } from './KeyQueue';
import { ModelLine } from './ModelLine';
import { mostCost } from './models';
import { closingError } from './OpenRuns';
import { Places } from './Places';
import { errorAfter, errorWithoutKey } from './runErrors';
import type { Answered, Place, RunAsk, RunDeps, Seen } from './runTypes';
import { Tries } from './Tries';
import type { NoKey } from './types';

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
  /** Whether somebody saw a part of the answer who cannot take it back. */
  isShown = false;

  private readonly controller = new AbortController();
  private readonly poolIds: readonly string[];
  /** From then on nothing more is begun. */
  private readonly lastAt: number;
  private readonly models: ModelLine;
  private readonly tries: Tries;
  private readonly keys: KeyQueue;
  private readonly record: CallRecord;
  private readonly places: Places;
  private isLeft = false;
  private isOver = false;

  /**
   * Reserves what the request may cost. Where the tenant's plan pays for no more, its own keys may
   * still serve it.
   *
   * @throws AppError planLimit when a budget is spent; nothing was called then
   */
  static async open(deps: RunDeps, ask: RunAsk): Promise<Run> {
    ask.signal?.throwIfAborted();
    try {
      return await new Run(deps, ask, true).opened();
    } catch (error) {
      const own = new Run(deps, ask, false);
      if (!isPlanSpent(error) || own.poolIds.length === 0) {
        throw error;
      }
      return own.opened();
    }
  }

  private constructor(
    private readonly deps: RunDeps,
    private readonly ask: RunAsk,
    mayUsePlatform: boolean,
  ) {
    const { callId, controller } = this;
    const startedAt = Date.now();
    const deadlineAt = startedAt + ask.deadlineMs;
    this.lastAt = deadlineAt - leastMs;
    this.poolIds = deps.ring
      .poolsOf(ask.asker.tenantId)
      .filter((id) => mayUsePlatform || id !== platformPool);
    this.models = new ModelLine(deps, ask.models, this.poolIds);
    this.tries = new Tries(ask, this.models, this.lastAt);
    this.keys = new KeyQueue(deps, {
      tenantId: ask.asker.tenantId,
      poolIds: this.poolIds,
      models: ask.models,
      priority: ask.priority,
      conversation: ask.conversation,
      deadlineAt: this.lastAt,
      signal: controller.signal,
      check: () => this.checkTime(),
    });
    this.record = new CallRecord(deps, {
      callId,
      asker: ask.asker,
      kind: ask.kind,
      model: ask.models[0],
      mayUsePlatform: this.poolIds.includes(platformPool),
      isStreamed: ask.isStreamed,
      estimateMicros: ask.estimateMicros,
      startedAt,
      expiresAt: new Date(deadlineAt + afterDeadlineMs),
    });
    this.places = new Places(deps, { callId, ask, deadlineAt, controller, record: this.record });
  }

  get attemptCount(): number {
    return this.record.attemptCount;
  }

  get costMicros(): number {
    return this.record.costMicros;
  }

  // ------------------------------------------------------------------ attempts

  /**
   * The next attempt, with a place of its key taken. Apart, it can be called off without the others.
   *
   * @throws AppError where the request fails: by what its last attempt showed, or for want of a key
   */
  async place({ isApart = false } = {}): Promise<Place> {
    const { tries } = this;
    const { last } = tries;
    this.checkTime();
    if (last === undefined) {
      const first = await this.take(() => tries.first(), isApart);
      this.deps.retryBudgets.asked(first.key.poolId, Date.now());
      return first;
    }
    if (tries.next(this).length === 0) {
      throw this.errorAfter(last);
    }
    if (draws(last.failure.kind) && !this.deps.retryBudgets.take(last.poolId, Date.now())) {
      this.deps.metrics.retryRefused();
      throw this.errorAfter(last);
    }
    const place = await this.take(() => tries.next(this), isApart);
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
    if (this.tries.counted + 2 > maxCountedAttempts) {
      return null;
    }
    const key = this.keys.choose({ model: first.model, ...this.tries.askedWith(first.key) });
    if (!isKey(key)) {
      return null;
    }
    const isPaid = await this.mayPayBeside(first);
    if (!isPaid || isOver() || !this.deps.retryBudgets.take(key.poolId, Date.now())) {
      key.release();
      return null;
    }
    this.deps.metrics.hedged();
    return this.places.begin(key, { model: first.model, way: 'hedge' }, { isApart: true });
  }

  /** The vendor answered; whether the answer is of use is for the caller to say. */
  answered(place: Place, answer: Answered, seen: Seen): void {
    this.places.answered(place, answer, seen);
  }

  /** The attempt failed. What came of its answer until then is billed all the same. */
  failedAt(place: Place, error: unknown, seen: Seen): void {
    this.tries.failedAt(place, this.places.failed(place, error, seen));
  }

  /** The vendor answered, but not what was asked for: nothing is held against the key or the model. */
  unfit(place: Place, failure: LlmFailure): void {
    this.tries.failedAt(place, failure);
  }

  /** The first token of the answer that lasts: what was taken back does not count. */
  tokenCame(place: Place, firstTokenMs: number): void {
    this.record.tokenCame(place.startedAt + firstTokenMs);
  }

  // ---------------------------------------------------------------------- ends

  succeeded(place: Place, model: string): void {
    // What was called off beside it did not need saving.
    if (this.tries.wentWrong) {
      this.deps.metrics.saved();
    }
    this.end('succeeded', { model: this.billedModel(model, place.model), key: place.key });
  }

  /** The answer was there already. */
  cached(model: string): void {
    this.end('cached', { model: this.billedModel(model, this.ask.models[0]), key: null });
  }

  /** Ends with an error, and says what the caller gets. */
  failedWith(error: unknown): unknown {
    const { signal } = this.ask;
    this.end(this.isLeft ? 'cancelled' : 'failed', null);
    return signal?.aborted === true ? signal.reason : error;
  }

  /** Whoever asked does not want it any more: calls off whatever is under way. */
  readonly leave = (): void => {
    if (!this.isOver) {
      this.isLeft = true;
      this.abort();
    }
  };

  /** Calls off whatever is under way; it ends by itself then. */
  abort(): void {
    this.controller.abort();
  }

  private end(outcome: CallEnd['outcome'], by: EndedBy | null): void {
    this.isOver = true;
    this.ask.signal?.removeEventListener('abort', this.leave);
    this.record.end(endOf(outcome, by, this.tries.last ?? null));
    this.deps.runs.delete(this);
  }

  private billedModel(answering: string, asked: string): string {
    return billedModel(this.deps.catalogue, { answering, asked });
  }

  // ---------------------------------------------------------------- on the way

  // Among those that are called off when the process ends from its opening on: what is reserved by
  // then is given back.
  private async opened(): Promise<this> {
    const { runs } = this.deps;
    const { signal } = this.ask;
    runs.add(this);
    try {
      await this.record.open();
    } catch (error) {
      runs.delete(this);
      throw error;
    }
    signal?.addEventListener('abort', this.leave, { once: true });
    if (signal?.aborted === true) {
      this.leave();
    }
    return this;
  }

  private async take(steps: () => readonly KeyStep[], isApart: boolean): Promise<Place> {
    const isFirst = this.tries.last === undefined;
    const taken = await this.keys.take({ steps, upAt: () => this.models.upAt(), isFirst });
    if ('none' in taken) {
      throw this.errorWithout(taken.none);
    }
    const { key, step } = taken;
    this.ask.shape.change(step.way, step.model);
    if (!isFirst) {
      try {
        await this.record.reserve(this.mostOf(step.model));
        this.checkTime();
      } catch (error) {
        key.release();
        throw error;
      }
    }
    return this.places.begin(key, step, { isApart });
  }

  private mostOf(model: string): number {
    return mostCost(this.deps.catalogue, [model], this.ask.shape.size());
  }

  private async mayPayBeside({ model }: Place): Promise<boolean> {
    const { callId } = this;
    try {
      await this.record.reserve(2 * this.mostOf(model));
      return true;
    } catch (error) {
      this.deps.logger.debug({ err: error, callId }, 'no second call beside a slow one');
      return false;
    }
  }

  private checkTime(): void {
    this.ask.signal?.throwIfAborted();
    if (this.controller.signal.aborted) {
      throw closingError();
    }
    if (this.isLate()) {
      throw deadlineError();
    }
  }

  private isLate(): boolean {
    return Date.now() >= this.lastAt;
  }

  private errorWithout(none: NoKey): AppError {
    const { callId } = this;
    this.deps.logger.debug({ callId, skipped: none.skipped }, 'no key for a call to a model');
    const { last } = this.tries;
    return last === undefined ? errorWithoutKey(none, this.standstill()) : this.errorAfter(last);
  }

  private errorAfter(last: FailedAttempt): AppError {
    return errorAfter(last, this.standstill());
  }

  private standstill() {
    return {
      ring: this.deps.ring,
      poolIds: this.poolIds,
      models: this.models,
      field: this.ask.field,
      isShown: this.isShown,
      isLate: this.isLate(),
    };
  }
}
