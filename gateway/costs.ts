import { setMaxListeners } from 'node:events';
import type { TokenUsage } from '../domain/llm/types';
import type { Logger } from '../lib/logger';
import type { LlmCredentials, LlmProvider } from '../providers/llm/types';
import { pause } from './pause';
import type { SettledCall } from './types';

/** What an attempt came to, or all attempts of a call together. */
export interface Cost {
  readonly usage: TokenUsage | null;
  readonly costMicros: number;
  readonly costSource: SettledCall['costSource'];
}

export const free: Cost = { usage: null, costMicros: 0, costSource: 'none' };

/** An attempt that is billed without having told for how much: how the vendor is asked. */
export interface CostQuestion {
  readonly provider: LlmProvider;
  readonly credentials: LlmCredentials;
  readonly generationId: string;
  /** What the vendor's answer comes to. */
  readonly costOf: (usage: TokenUsage) => Cost;
}

/** What an attempt cost as far as it is known, and how more is learned. */
export interface AttemptCost {
  readonly cost: Cost;
  readonly question: CostQuestion | null;
}

// Best known first: the vendor's word, prices, a guess. A sum is known as its worst part is.
const sources = ['none', 'vendor', 'prices', 'estimate'] as const;

/** What the attempts of a call come to together. */
export function sumOf(costs: readonly Cost[]): Cost {
  return costs.reduce(
    (sum, { usage, costMicros, costSource }) => ({
      usage: together(sum.usage, usage),
      costMicros: sum.costMicros + costMicros,
      costSource:
        sources[Math.max(sources.indexOf(sum.costSource), sources.indexOf(costSource))] ??
        'estimate',
    }),
    free,
  );
}

function together(one: TokenUsage | null, other: TokenUsage | null): TokenUsage | null {
  return one === null || other === null
    ? (one ?? other)
    : {
        promptTokens: one.promptTokens + other.promptTokens,
        completionTokens: one.completionTokens + other.completionTokens,
        cachedTokens: one.cachedTokens + other.cachedTokens,
        reasoningTokens: one.reasoningTokens + other.reasoningTokens,
        costMicros: null,
      };
}

// The vendor knows what a broken answer cost some moments later.
const lookAfterMs = [500, 2_000, 5_000];
const lookTimeoutMs = 3_000;
const maxLookUps = 200;

/** Asks vendors afterwards what answers cost that broke off. */
export interface CostLookUps {
  /** Calls back once, with what the vendor said or with what was known before, in order. */
  settle(attempts: readonly AttemptCost[], done: (costs: Cost[]) => void): void;
  /** Gives up on what is still asked for: it is settled by what is known, at once. */
  close(): Promise<void>;
}

export function createCostLookUps(logger: Pick<Logger, 'error'>): CostLookUps {
  const over = new AbortController();
  // Each attempt of each of them waits for it: as many as there are, and no leak.
  setMaxListeners(0, over.signal);
  const running = new Set<Promise<void>>();

  return {
    settle(attempts, done) {
      const isAsked = attempts.some(({ question }) => question !== null);
      if (!isAsked || running.size >= maxLookUps || over.signal.aborted) {
        done(attempts.map(({ cost }) => cost));
        return;
      }
      // Nobody waits for it, so that what it throws would end the process.
      const work = Promise.all(attempts.map(lookUp))
        .then(done)
        .catch((error: unknown) => logger.error({ err: error }, 'a call is not settled by a bug'))
        .finally(() => running.delete(work));
      running.add(work);
    },

    async close() {
      over.abort();
      await Promise.all(running);
    },
  };

  async function lookUp({ cost, question }: AttemptCost): Promise<Cost> {
    const usage = question === null ? null : await toldOf(question, over.signal);
    return usage === null || question === null ? cost : question.costOf(usage);
  }
}

async function toldOf(
  { generationId, provider, credentials }: CostQuestion,
  signal: AbortSignal,
): Promise<TokenUsage | null> {
  for (const ms of lookAfterMs) {
    await pause(ms, signal);
    if (signal.aborted) {
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
