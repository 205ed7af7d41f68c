import { AppError, invalidField } from '../domain/errors';
import { costOfTokens, unknownPrices } from '../domain/llm/estimate';
import type { ModelPrices, TokenUsage } from '../domain/llm/types';
import type { Catalogue } from './catalogue';
import type { Cost } from './costs';

const mostModels = 6;

/**
 * The model a request asks for, then those that may take its place.
 *
 * @throws AppError invalid, naming `model`, where there is none or it is not enabled; unavailable
 * while nobody knows what there is
 */
export function modelsFor(
  catalogue: Catalogue,
  ask: { tenantId: string; model: string | null; fallbacks: readonly string[] | null },
): readonly [string, ...string[]] {
  if (!catalogue.isLoaded()) {
    throw new AppError('unavailable', 'llmUnavailable', 'Models are not loaded yet.', {
      retryAfterSeconds: 2,
    });
  }
  const first = ask.model ?? catalogue.defaultModel(ask.tenantId);
  if (first === null) {
    throw invalidField('model', 'required', 'Name a model: there is no default.');
  }
  if (isClosed(catalogue, first)) {
    throw invalidField('model', 'modelNotEnabled', 'This model is not enabled.');
  }
  const others = (ask.fallbacks ?? catalogue.fallbacksOf(first)).filter(
    (model) => model !== first && !isClosed(catalogue, model),
  );
  return [first, ...new Set(others.slice(0, mostModels - 1))];
}

/** How large a request is: what is read, the most that is written, how many pictures are made. */
export interface AskSize {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly images: number;
}

/** The most that a request of this size costs with any of the models. */
export function mostCost(catalogue: Catalogue, models: readonly string[], size: AskSize): number {
  return Math.max(...models.map((model) => costOfSize(size, pricesOf(catalogue, model))));
}

// What is told beyond ten times what an answer may cost at most is a mistake, or a lie. Where that is
// next to nothing, vendors have surcharges that no catalogue knows.
const boundFactor = 10;
const leastBoundMicros = 100_000;

/**
 * What an answer cost: by the vendor's word, else by prices of the tokens it told, else by those that
 * were seen. `most` is what it may have come to; nothing beyond reason is believed.
 */
export function costOfAnswer(
  usage: TokenUsage | null,
  { prices, most, seen }: { prices: ModelPrices; most: AskSize; seen: AskSize },
): Cost {
  const mostMicros = costOfSize(most, prices);
  const boundMicros = Math.max(boundFactor * mostMicros, leastBoundMicros);
  const told = usage?.costMicros ?? null;
  if (told !== null && told >= 0 && told <= boundMicros) {
    return { usage, costMicros: told, costSource: 'vendor' };
  }
  const promptTokens = usage?.promptTokens || seen.promptTokens;
  const completionTokens = usage?.completionTokens || seen.completionTokens;
  const costMicros = costOfSize(
    { promptTokens, completionTokens, images: seen.images },
    prices,
    usage?.cachedTokens,
  );
  if (costMicros > boundMicros) {
    return { usage: null, costMicros: mostMicros, costSource: 'estimate' };
  }
  const isTold =
    usage !== null &&
    promptTokens === usage.promptTokens &&
    completionTokens === usage.completionTokens;
  return { usage, costMicros, costSource: isTold ? 'prices' : 'estimate' };
}

// What an image takes to write where a model is billed by tokens alone.
const tokensOfImage = 4_200;

function costOfSize(
  { promptTokens, completionTokens, images }: AskSize,
  prices: ModelPrices,
  cachedTokens = 0,
): number {
  const imagesMicros = images * prices.imageMicros;
  const written = images > 0 && completionTokens === 0 ? images * tokensOfImage : completionTokens;
  return (
    imagesMicros +
    costOfTokens(
      { promptTokens, cachedTokens, completionTokens: imagesMicros > 0 ? 0 : written },
      prices,
    )
  );
}

/** What the model costs; what nobody knows the price of is taken to be dear. */
export function pricesOf(catalogue: Catalogue, model: string): ModelPrices {
  return catalogue.priceOf(model) ?? unknownPrices;
}

// Known, and not offered. Accounts of tenants' own have models that no catalogue knows.
function isClosed(catalogue: Catalogue, model: string): boolean {
  return catalogue.find(model) === null && catalogue.priceOf(model) !== null;
}
