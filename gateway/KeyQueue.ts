import type { FailedAttempt, Step } from '../domain/llm/reactions';
import type { LlmPriority } from '../domain/llm/types';
import type { CallMetrics } from './callMetrics';
import type { KeyLine } from './KeyLine';
import { pause } from './pause';
import type { ChosenKey, KeyAsk, NoKey, Ring } from './types';

/** A way to go on; without more, any key will do. */
export type KeyStep = Pick<Step, 'model' | 'waitMs'> &
  Partial<Omit<Step, 'way'>> & { readonly way: FailedAttempt['way'] };

/** A key, by the step for which there was one; or why there was none. */
export type Taken = { readonly key: ChosenKey; readonly step: KeyStep } | { readonly none: NoKey };

export interface KeyQueueOptions {
  readonly tenantId: string;
  readonly poolIds: readonly string[];
  readonly models: readonly string[];
  readonly priority: LlmPriority;
  readonly conversation: string | null;
  readonly deadlineAt: number;
  readonly signal: AbortSignal;
  /** @throws what ends the request, when its time is over or whoever asked is gone */
  readonly check: () => void;
}

/** How a request may go on now. */
export interface KeyWays {
  /** The best first. They are looked at anew after every wait. */
  readonly steps: () => readonly KeyStep[];
  /** When the first of its models is asked again; null where one is now. */
  readonly upAt: () => number | null;
  /** Whether it has asked nobody yet. */
  readonly isFirst: boolean;
}

const queueMs = 3_000;
const noneOf: ReadonlySet<string> = new Set();

/**
 * Takes keys for one request. Where there is none but may soon be one, whoever waits for an answer
 * waits for the key: three seconds in all, and in turn with whoever else does.
 */
export class KeyQueue {
  private leftMs = queueMs;

  constructor(
    private readonly deps: { ring: Ring; line: KeyLine; metrics: CallMetrics },
    private readonly options: KeyQueueOptions,
  ) {}

  /** The first of the ways for which there is a key. */
  async take(ways: KeyWays): Promise<Taken> {
    const { deadlineAt, check } = this.options;
    const taken = await this.takeInTime(ways.steps());
    const leftMs = Math.min(this.leftMs, deadlineAt - Date.now());
    if ('key' in taken || leftMs <= 0 || !this.mayCome(taken.none, ways, leftMs)) {
      return taken;
    }
    const from = Date.now();
    const got = await this.wait(ways, leftMs);
    const waitedMs = Date.now() - from;
    this.leftMs -= waitedMs;
    this.deps.metrics.waited(waitedMs);
    try {
      check();
    } catch (error) {
      if ('key' in got) {
        got.key.release();
      }
      throw error;
    }
    return got;
  }

  private async takeInTime(steps: readonly KeyStep[]): Promise<Taken> {
    let none = noKey;
    for (const step of steps) {
      if (step.waitMs > 0) {
        await pause(step.waitMs, this.options.signal);
        this.options.check();
      }
      // Whoever waits was here before.
      this.deps.line.serve();
      const key = this.choose(step);
      if (isKey(key)) {
        return { key, step };
      }
      none = both(none, key);
    }
    return { none };
  }

  private async wait(ways: KeyWays, leftMs: number): Promise<Taken> {
    const { tenantId, poolIds, models, priority, signal } = this.options;
    const until = Date.now() + leftMs;
    let taken: Taken = { none: noKey };
    const isServed = await this.deps.line.wait({
      priority,
      ownerId: tenantId,
      kind: ways.isFirst ? `${priority} ${poolIds.join()} ${models.join()}` : null,
      timeoutMs: leftMs,
      signal,
      take: () => {
        taken = this.takeNow(ways.steps());
        return 'key' in taken || !this.mayCome(taken.none, ways, until - Date.now());
      },
    });
    return isServed || signal.aborted ? taken : this.takeNow(ways.steps());
  }

  private takeNow(steps: readonly KeyStep[]): Taken {
    let none = noKey;
    for (const step of steps) {
      const key = this.choose(step);
      if (isKey(key)) {
        return { key, step };
      }
      none = both(none, key);
    }
    return { none };
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
  private mayCome({ skipped }: NoKey, { upAt }: KeyWays, leftMs: number): boolean {
    if (skipped.some(({ why }) => why === 'full')) {
      return true;
    }
    if (this.options.priority !== 'interactive') {
      return false;
    }
    const up = upAt();
    return (
      skipped.some(({ why }) => why === 'cooling') || (up !== null && up <= Date.now() + leftMs)
    );
  }
}

const noKey: NoKey = { retryAt: null, isFull: false, skipped: [] };

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
