import type { FailureKind, LlmAttemptError, LlmFailure } from '../domain/llm/failures';
import type { TokenUsage } from '../domain/llm/types';
import type { Catalogue } from './catalogue';
import { free, type AttemptCost, type Cost } from './costs';
import { costOfAnswer, pricesOf, type AskSize } from './models';
import type { Place } from './runTypes';

/** How an attempt failed, and what had come of its answer. */
export type AttemptFailure = Pick<LlmAttemptError, 'failure' | 'generationId' | 'begun'>;

/** The model by which an answer is billed: by the name the vendor gave, if it is one that is known. */
export function billedModel(
  catalogue: Catalogue,
  { answering, asked }: { answering: string; asked: string },
): string {
  return catalogue.priceOf(answering) === null ? asked : answering;
}

/** What an attempt cost whose answer came. */
export function costOf(
  catalogue: Catalogue,
  { size, model: asked }: Pick<Place, 'size' | 'model'>,
  answer: {
    usage: TokenUsage | null;
    model: string;
    writtenTokens: number;
    images?: AskSize['images'];
  },
): Cost {
  const { usage, model, writtenTokens, images = size.images } = answer;
  return costOfAnswer(usage, {
    prices: pricesOf(catalogue, billedModel(catalogue, { answering: model, asked })),
    most: size,
    seen: { ...size, completionTokens: writtenTokens, images },
  });
}

/** What an attempt may cost that failed, and how the vendor is asked for more of it. */
export function costOfFailed(
  catalogue: Catalogue,
  place: Place,
  seen: { error: AttemptFailure; writtenTokens: number; isStreamed: boolean },
): AttemptCost {
  const { failure, generationId, begun } = seen.error;
  const { isStreamed } = seen;
  if (begun === null && !mayBeBilled(failure, { isStreamed })) {
    return { cost: free, question: null };
  }
  const { model, provider, key, size } = place;
  const isEmpty = saysNothing.has(failure.kind);
  // Whole answers are written to their end, whether or not somebody waits for it.
  const writtenTokens =
    isStreamed || isEmpty
      ? Math.max(begun?.writtenTokens ?? 0, seen.writtenTokens)
      : size.completionTokens;
  const came = { model, writtenTokens, ...(isEmpty ? { images: 0 } : {}) };
  const priced = (usage: TokenUsage | null) => costOf(catalogue, place, { ...came, usage });
  const cost = priced(begun?.usage ?? null);
  const isKnown = cost.costSource === 'vendor' || cost.costMicros === 0;
  return {
    cost,
    question:
      isKnown || generationId === null
        ? null
        : { provider, credentials: key.credentials, generationId, costOf: priced },
  };
}

// What a vendor refuses costs nothing. What broke off does, and whole answers that we called off may.
function mayBeBilled(
  { kind, status, hadBegun }: LlmFailure,
  { isStreamed }: { isStreamed: boolean },
): boolean {
  return hadBegun || (!isStreamed && status === null && calledOffKinds.has(kind));
}

const saysNothing = new Set<FailureKind>(['emptyAnswer', 'refused']);

const calledOffKinds = new Set<FailureKind>(['cancelled', 'timeout', 'firstTokenTimeout']);
