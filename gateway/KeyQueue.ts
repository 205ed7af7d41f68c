import type { FailedAttempt, Step } from '../domain/llm/reactions';
import type { LlmPriority } from '../domain/llm/types';
import type { CallMetrics } from './callMetrics';
import { pause } from './pause';
import type { ChosenKey, KeyAsk, NoKey, Ring } from './types';

/** A way to go on; without more, any key will do. */
export type KeyStep = Pick<Step, 'model' | 'waitMs'> &
  Partial<Omit<Step, 'way'>> & { readonly way: FailedAttempt['way'] };

/** A key, by the step for which there was one; or why there was none. */
export type Taken = { readonly key: ChosenKey; readonly step: KeyStep } | { readonly none: NoKey };

export interface KeyQueueOptions {
  readonly poolIds: readonly string[];
  readonly priority: LlmPriority;
  readonly conversation: string | null;
  readonly deadlineAt: number;
  readonly signal: AbortSignal;
  /** @throws what ends the request, when its time is over or whoever asked is gone */
  readonly check: () => void;
}

const queueMs = 3_000;
const noneOf: ReadonlySet<string> = new Set();

/**
 * Takes keys for one request. Where there is none but may soon be one, whoever waits for an answer
 * waits for the key: three seconds in all.
 */
export class KeyQueue {
  private leftMs = queueMs;

  constructor(
    private readonly deps: { ring: Ring; metrics: CallMetrics },
    private readonly options: KeyQueueOptions,
  ) {}

  /**
   * The first of the steps for which there is a key. They are looked at anew after every wait.
   */
  async take(stepsNow: () => readonly KeyStep[], upAt: () => number | null): Promise<Taken> {
    for (let isFirst = true; ; isFirst = false) {
      let none: NoKey = { retryAt: null, isFull: false, skipped: [] };
      for (const step of stepsNow()) {
        if (isFirst && step.waitMs > 0) {
          await pause(step.waitMs, this.options.signal);
          this.options.check();
        }
        const key = this.choose(step);
        if (isKey(key)) {
          return { key, step };
        }
        none = both(none, key);
      }
      const now = Date.now();
      const leftMs = Math.min(this.leftMs, this.options.deadlineAt - now);
      if (leftMs <= 0 || !(this.mayCome(none) || this.isSoonUp(upAt(), now + leftMs))) {
        return { none };
      }
      await this.wait(leftMs);
    }
  }

  /** A key at once, or why there is none. */
  choose(step: Partial<Omit<Step, 'way'>> & Pick<KeyAsk, 'model'>): ChosenKey | NoKey {
    const { poolIds, conversation, priority } = this.options;
    return this.deps.ring.choose({
      poolIds,
      model: step.model,
      conversation,
      priority,
      withoutKeys: step.withoutKeys ?? noneOf,
      withoutAccounts: step.withoutAccounts ?? noneOf,
      ...(step.onlyKey == null ? {} : { onlyKey: step.onlyKey }),
    });
  }

  // Room comes at any moment, and health by probes and in time. What people took out does not come
  // back while somebody waits, and what this request left out it leaves out for good.
  private mayCome({ skipped }: NoKey): boolean {
    const isInteractive = this.options.priority === 'interactive';
    return skipped.some(({ why }) => why === 'full' || (isInteractive && why === 'cooling'));
  }

  private isSoonUp(upAt: number | null, until: number): boolean {
    return this.options.priority === 'interactive' && upAt !== null && upAt <= until;
  }

  private async wait(leftMs: number): Promise<void> {
    const from = Date.now();
    await this.deps.ring.changed(leftMs, this.options.signal);
    const waitedMs = Date.now() - from;
    // At least one, so that a ring that resolves at once is not asked for ever.
    this.leftMs -= Math.max(1, waitedMs);
    this.deps.metrics.waited(waitedMs);
    this.options.check();
  }
}

export function isKey(chosen: ChosenKey | NoKey): chosen is ChosenKey {
  return 'release' in chosen;
}

function both(one: NoKey, other: NoKey): NoKey {
  const retryAts = [one.retryAt, other.retryAt].filter((at) => at !== null);
  return {
    retryAt: retryAts.length === 0 ? null : Math.min(...retryAts),
    isFull: one.isFull || other.isFull,
    skipped: [...one.skipped, ...other.skipped],
  };
}
