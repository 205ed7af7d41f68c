import { openRouterKeys, type Config } from '../lib/config';
import type { Knex } from '../lib/db';
import type { Sealing } from '../lib/sealing';
import { ensureConfiguredKeys } from '../models/llm/configuredKeys';

/** Takes the environment's keys at vendors of language models in as keys of the platform, each once. */
export async function takeInKeys(
  db: Knex,
  sealing: Sealing,
  config: Pick<
    Config,
    | 'OPENROUTER_BASE_URL'
    | 'OPENROUTER_MANAGEMENT_KEY'
    | 'OPENAI_API_KEY'
    | 'OPENAI_BASE_URL'
    | 'OPENAI_MODEL'
  >,
): Promise<void> {
  await ensureConfiguredKeys(db, sealing, [
    {
      name: 'OpenRouter',
      vendor: 'openrouter',
      baseUrl: config.OPENROUTER_BASE_URL,
      managementKey: config.OPENROUTER_MANAGEMENT_KEY ?? null,
      keys: openRouterKeys(),
      allowedModels: null,
    },
    {
      name: 'OpenAI',
      vendor: 'openai',
      baseUrl: config.OPENAI_BASE_URL,
      managementKey: null,
      keys: config.OPENAI_API_KEY === undefined ? [] : [config.OPENAI_API_KEY],
      allowedModels: config.OPENAI_MODEL === undefined ? null : [config.OPENAI_MODEL],
    },
  ]);
}
