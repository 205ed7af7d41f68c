import { invalidField } from '../domain/errors';
import { costOfTokens, unknownPrices } from '../domain/llm/estimate';
import type { ModelPrices } from '../domain/llm/types';
import type { Catalogue } from './catalogue';

const mostModels = 6;

/**
 * The model a request asks for, then those that may take its place.
 *
 * @throws AppError invalid, naming `model`, where there is none or it is not enabled
 */
export function modelsFor(
  catalogue: Catalogue,
  ask: { tenantId: string; model: string | null; fallbacks: readonly string[] | null },
): readonly [string, ...string[]] {
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

/** The most that so many tokens cost with any of the models. */
export function mostCost(
  catalogue: Catalogue,
  models: readonly string[],
  tokens: { promptTokens: number; completionTokens: number },
): number {
  return Math.max(
    ...models.map((model) =>
      costOfTokens({ ...tokens, cachedTokens: 0 }, pricesOf(catalogue, model)),
    ),
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
