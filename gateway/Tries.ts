import type { LlmFailure } from '../domain/llm/failures';
import { counts, nextSteps, type FailedAttempt, type Step } from '../domain/llm/reactions';
import type { KeyStep } from './KeyQueue';
import type { ModelLine } from './ModelLine';
import type { Place, RunAsk } from './runTypes';
import type { ChosenKey, KeyAsk } from './types';

/** What a request has tried without success, and what it may try next. */
export class Tries {
  private readonly failed: FailedAttempt[] = [];

  constructor(
    private readonly ask: Pick<RunAsk, 'models' | 'shape'>,
    private readonly models: ModelLine,
    /** From then on nothing more is begun. */
    private readonly lastAt: number,
  ) {}

  failedAt({ key, model, way }: Place, failure: LlmFailure): void {
    const { keyId, accountId, poolId } = key;
    this.models.propose(failure.fallbackModels);
    this.failed.push({ keyId, accountId, poolId, model, way, failure });
  }

  get last(): FailedAttempt | undefined {
    return this.failed.at(-1);
  }

  /** How many of those that a request has are used up. */
  get counted(): number {
    return this.failed.filter(({ failure }) => counts(failure.kind)).length;
  }

  /** Whether more went wrong than that an attempt was called off beside a quicker one. */
  get wentWrong(): boolean {
    return this.failed.some(({ failure }) => failure.kind !== 'cancelled');
  }

  /** Keys and accounts that were asked, with this one. */
  askedWith(key: ChosenKey): Pick<KeyAsk, 'withoutKeys' | 'withoutAccounts'> {
    const asked = [...this.failed, key];
    return {
      withoutKeys: new Set(asked.map(({ keyId }) => keyId)),
      withoutAccounts: new Set(asked.map(({ accountId }) => accountId)),
    };
  }

  /** The ways to a first attempt, the best first. */
  first(): KeyStep[] {
    return this.models.up().map((model) => ({
      way: model === this.ask.models[0] ? 'first' : 'otherModel',
      model,
      waitMs: 0,
    }));
  }

  /** The ways on from the last one, the best first; none where the request fails with it. */
  next({ isShown }: { isShown: boolean }): Step[] {
    const { shape, models } = this.ask;
    const model = this.last?.model ?? models[0];
    const otherModels = this.models.others(new Set(this.failed.map((one) => one.model)));
    return nextSteps(
      {
        failed: this.failed,
        otherModels,
        largerModel: this.models.larger(model, otherModels),
        modelDownUntil: this.models.downUntil(model),
        canTrim: shape.canTrim(),
        canLowerTokens: shape.canLowerTokens(),
        isShown,
        deadlineAt: this.lastAt,
      },
      { now: Date.now(), random: Math.random() },
    );
  }
}
