import type { QueryBuilder } from 'objection';
import { invalidField, notFound } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { LlmModel } from './LlmModel';

export const llmModelSorts = {
  id: { by: 'llm_models.id', type: 'text' },
  name: { by: 'lower(llm_models.name)', type: 'text' },
  price: { by: 'p.completion_micros_per_million', type: 'bigint' },
} as const satisfies Record<string, SortKey>;

export interface ModelFilters {
  /** A part of the id or the name, in any case. */
  search?: string | undefined;
  /** Of what it answers with: `text`, `image`. */
  output?: string | undefined;
}

/** Models of the catalogue: what is offered, or all there ever were. */
export function llmModelsWhere(
  trx: Knex.Transaction,
  { search, output }: ModelFilters,
  { isOffered }: { isOffered: boolean },
): QueryBuilder<LlmModel, LlmModel[]> {
  const query = LlmModel.query(trx)
    .select('llm_models.*', ...priceColumns.map((column) => `p.${column}`))
    .joinRaw('join llm_price_snapshots p on p.id = llm_models.price_snapshot_id');
  if (isOffered) {
    query.whereRaw('llm_models.is_enabled and llm_models.gone_at is null');
  }
  if (search !== undefined) {
    query.whereRaw(`strpos(lower(llm_models.id || ' ' || llm_models.name), lower(?)) > 0`, [
      search,
    ]);
  }
  if (output !== undefined) {
    query.whereRaw('? = any(llm_models.output_modalities)', [output]);
  }
  return query;
}

const priceColumns = [
  'prompt_micros_per_million',
  'completion_micros_per_million',
  'cached_micros_per_million',
  'request_micros',
  'image_micros',
] as const;

/** One of them, or notFound. */
export async function requireLlmModel(trx: Knex.Transaction, id: string): Promise<LlmModel> {
  const model = await llmModelsWhere(trx, {}, { isOffered: false }).findOne({
    'llm_models.id': id,
  });
  if (model === undefined) {
    throw notFound('llmModel');
  }
  return model;
}

export interface ModelChanges {
  isEnabled?: boolean | undefined;
  isDefault?: true | undefined;
  fallbacks?: string[] | undefined;
}

/** Keeps all models from changes until the transaction ends: a default concerns two of them. */
export async function lockLlmModels(trx: Knex.Transaction): Promise<void> {
  await trx.raw(`select pg_advisory_xact_lock(hashtext('llmModels'))`);
}

/**
 * Changes a model of the locked catalogue; what is undefined stays. All processes follow at once.
 *
 * @throws invalid for a default that is not enabled, or fallbacks that nobody knows
 */
export async function changeLlmModel(
  trx: Knex.Transaction,
  stored: LlmModel,
  { isEnabled, isDefault, fallbacks }: ModelChanges,
): Promise<LlmModel> {
  const isEnabledThen = isEnabled ?? stored.isEnabled;
  if (!isEnabledThen && (stored.isDefault || isDefault === true)) {
    throw invalidField('isEnabled', 'isDefault', 'The default cannot be switched off.');
  }
  await requireKnown(trx, stored.id, fallbacks ?? []);
  if (isDefault === true && !stored.isDefault) {
    await trx.raw(
      'update llm_models set is_default = false, version = version + 1 where is_default',
    );
  }
  await LlmModel.query(trx)
    .findById(stored.id)
    .patch({
      isEnabled: isEnabledThen,
      isDefault: isDefault ?? stored.isDefault,
      fallbacks: fallbacks ?? stored.fallbacks,
      version: stored.version + 1,
    });
  return requireLlmModel(trx, stored.id);
}

async function requireKnown(
  trx: Knex.Transaction,
  id: string,
  fallbacks: readonly string[],
): Promise<void> {
  const known = await LlmModel.query(trx)
    .select('id')
    .whereIn('id', [...fallbacks]);
  const ids = new Set(known.map((model) => model.id));
  const wrong = fallbacks.findIndex((one) => one === id || !ids.has(one));
  if (wrong >= 0) {
    throw invalidField(`fallbacks.${wrong}`, 'notFound', 'Is no other model of the catalogue.');
  }
}
