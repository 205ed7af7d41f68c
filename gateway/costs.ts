import { setMaxListeners } from 'node:events';
import { costOfTokens } from '../domain/llm/estimate';
import type { ModelPrices, TokenUsage } from '../domain/llm/types';
import type { LlmCredentials, LlmProvider } from '../providers/llm/types';
import { pause } from './pause';
import type { SettledCall } from './types';

/** What a call came to, of all its attempts. */
export interface CallCost {
  readonly usage: TokenUsage | null;
  readonly costMicros: number;
  readonly costSource: SettledCall['costSource'];
}

/** An attempt that may be billed without having told what it cost. */
export interface UnknownCost {
  readonly provider: LlmProvider;
  readonly credentials: LlmCredentials;
  /** By which the vendor can be asked; null where it never told one. */
  readonly generationId: string | null;
  readonly estimateMicros: number;
}

/** Adds up what the attempts of one call cost, best known first: the vendor's word, prices, a guess. */
export class CostSum {
  private usage: TokenUsage | null = null;
  private micros = 0;
  private rank = 0;

  answered(usage: TokenUsage, prices: ModelPrices): void {
    this.add(usage, usage.costMicros ?? costOfTokens(usage, prices));
    this.rank = Math.max(this.rank, usage.costMicros === null ? 2 : 1);
  }

  guessed(micros: number): void {
    this.micros += micros;
    this.rank = 3;
  }

  /** The same with guesses for what is not known. */
  with(unknown: readonly UnknownCost[]): CallCost {
    if (unknown.length === 0) {
      return this.sum();
    }
    const all = Object.assign(new CostSum(), this);
    for (const { estimateMicros } of unknown) {
      all.guessed(estimateMicros);
    }
    return all.sum();
  }

  private sum(): CallCost {
    return {
      usage: this.usage,
      costMicros: this.micros,
      costSource: sources[this.rank] ?? 'estimate',
    };
  }

  private add(usage: TokenUsage, micros: number) {
    const past = this.usage;
    this.micros += micros;
    this.usage =
      past === null
        ? usage
        : {
            promptTokens: past.promptTokens + usage.promptTokens,
            completionTokens: past.completionTokens + usage.completionTokens,
            cachedTokens: past.cachedTokens + usage.cachedTokens,
            reasoningTokens: past.reasoningTokens + usage.reasoningTokens,
            costMicros: this.micros,
          };
  }
}

const sources = ['none', 'vendor', 'prices', 'estimate'] as const;

// The vendor knows what a broken answer cost some moments later.
const lookAfterMs = [500, 2_000, 5_000];
const lookTimeoutMs = 3_000;
const maxLookUps = 200;

/** Asks vendors afterwards what answers cost that broke off. */
export interface CostLookUps {
  /** Calls back once, with what the vendor said or with the estimates. */
  settle(
    sum: CostSum,
    unknown: readonly UnknownCost[],
    prices: ModelPrices,
    done: (cost: CallCost) => void,
  ): void;
  /** Gives up on what is still asked for: it is settled by its estimates at once. */
  close(): Promise<void>;
}

export function createCostLookUps(): CostLookUps {
  const over = new AbortController();
  // Each of them waits for it.
  setMaxListeners(maxLookUps, over.signal);
  const running = new Set<Promise<void>>();

  return {
    settle(sum, unknown, prices, done) {
      const askable = unknown.filter(({ generationId }) => generationId !== null);
      if (askable.length === 0 || running.size >= maxLookUps || over.signal.aborted) {
        done(sum.with(unknown));
        return;
      }
      const work = lookUp(sum, unknown, prices).then(done);
      running.add(work);
      void work.finally(() => running.delete(work));
    },

    async close() {
      over.abort();
      await Promise.all(running);
    },
  };

  async function lookUp(sum: CostSum, unknown: readonly UnknownCost[], prices: ModelPrices) {
    const left: UnknownCost[] = [];
    for (const each of unknown) {
      const usage = await costOf(each, over.signal);
      if (usage === null) {
        left.push(each);
      } else {
        sum.answered(usage, prices);
      }
    }
    return sum.with(left);
  }
}

async function costOf(unknown: UnknownCost, signal: AbortSignal): Promise<TokenUsage | null> {
  const { generationId, provider, credentials } = unknown;
  for (const ms of generationId === null ? [] : lookAfterMs) {
    await pause(ms, signal);
    if (signal.aborted || generationId === null) {
      return null;
    }
    try {
      const usage = await provider.generationCost(generationId, credentials, {
        signal,
        timeoutMs: lookTimeoutMs,
      });
      if (usage !== null) {
        return usage;
      }
    } catch {
      // A vendor that does not tell is no reason to keep the reservation: the estimate stands.
    }
  }
  return null;
}
