import type { KeySource } from '../../domain/llm/callRecords';
import { invalidField } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import { BaseModel } from '../base';

/** What a tenant wants of its calls of models. */
export interface LlmSettingsValues {
  keySource: KeySource;
  defaultModel: string | null;
  keepsPrompts: boolean;
  promptDays: number;
  hedgeAfterMs: number | null;
}

class StoredSettings extends BaseModel {
  static override readonly tableName = 'llm_settings';
  static override readonly idColumn = 'tenant_id';

  declare tenantId: string;
  declare keySource: KeySource;
  declare defaultModel: string | null;
  declare keepsPrompts: boolean;
  declare promptDays: number;
  declare hedgeAfterMs: number | null;
  declare version: number;
  declare updatedAt: Date;
}

const unset: LlmSettingsValues = {
  keySource: 'ownFirst',
  defaultModel: null,
  keepsPrompts: false,
  promptDays: 30,
  hedgeAfterMs: null,
};

export async function readLlmSettings(
  trx: Knex.Transaction,
  tenantId: string,
): Promise<LlmSettingsValues> {
  return (await StoredSettings.query(trx).findById(tenantId)) ?? unset;
}

/** The same, kept from changes until the transaction ends. */
export async function lockLlmSettings(
  trx: Knex.Transaction,
  tenantId: string,
): Promise<LlmSettingsValues> {
  await StoredSettings.query(trx)
    .insert({ tenantId, ...unset })
    .onConflict('tenant_id')
    .ignore();
  const stored = await StoredSettings.query(trx).findById(tenantId).forUpdate();
  return stored ?? unset;
}

/**
 * Writes them over locked ones; all processes follow at once. Where prompts are not to be kept any
 * more, those that were are forgotten.
 *
 * @throws invalid for a default model that is not offered
 */
export async function replaceLlmSettings(
  trx: Knex.Transaction,
  tenantId: string,
  values: LlmSettingsValues,
): Promise<void> {
  if (values.defaultModel !== null && !(await isOffered(trx, values.defaultModel))) {
    throw invalidField('defaultModel', 'notOffered', 'There is no such model.');
  }
  await StoredSettings.query(trx)
    .findById(tenantId)
    .patch({ ...values, version: trx.raw('version + 1'), updatedAt: trx.fn.now() });
  if (!values.keepsPrompts) {
    await trx.raw('delete from llm_prompts where tenant_id = ?', [tenantId]);
  }
}

async function isOffered(trx: Knex.Transaction, model: string): Promise<boolean> {
  const found = await trx.raw(
    'select 1 from llm_models where id = ? and is_enabled and gone_at is null',
    [model],
  );
  return found.rows.length > 0;
}
