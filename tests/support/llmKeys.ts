import type { Knex } from '../../lib/db';
import { acrossTenants } from '../../models/base';
import { saveModels } from '../../models/llm/models';
import { DEMO_OPENROUTER_ACCOUNTS, OPENROUTER_PATH } from '../../sandbox';
import { insertLlmAccount, insertLlmKey } from './llm';
import { models, offered } from './llmGround';

/** Offers the models of the sandbox, and one of them by default. */
export async function offerModels(db: Knex): Promise<void> {
  await acrossTenants(db, 'llmRing', (trx) =>
    saveModels(trx, offered, { preferred: [models.main], isComplete: true }),
  );
}

/** Gives a tenant one key of its own at the sandbox. */
export async function giveKey(
  admin: Knex,
  { tenantId, sandboxUrl }: { tenantId: string; sandboxUrl: string },
): Promise<void> {
  await admin('llm_settings').insert({ tenant_id: tenantId, key_source: 'own' });
  const accountId = await insertLlmAccount(admin, {
    baseUrl: `${sandboxUrl}${OPENROUTER_PATH}`,
    tenantId,
  });
  const [key] = DEMO_OPENROUTER_ACCOUNTS.flatMap(({ keys }) => keys);
  await insertLlmKey(admin, { accountId, tenantId, secret: key?.secret ?? '' });
}
