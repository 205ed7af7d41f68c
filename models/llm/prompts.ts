import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { acrossTenants } from '../base';
import { sealedPlace } from '../identity/sealedPlaces';

/** What was asked and answered in a call. */
export interface CallWords {
  readonly callId: string;
  readonly tenantId: string;
  readonly content: string;
}

/**
 * Keeps what was asked and answered, sealed, of tenants that want it kept, for as many days as they
 * say. What is kept already stays as it is.
 */
export async function keepPrompts(
  db: Knex,
  sealing: Sealing,
  prompts: readonly CallWords[],
): Promise<void> {
  const values = {
    callIds: prompts.map(({ callId }) => callId),
    tenantIds: prompts.map(({ tenantId }) => tenantId),
    contents: prompts.map(({ callId, tenantId, content }) =>
      sealing.seal(content, sealedPlace('llmPrompts', { key: [callId], tenantId })),
    ),
  };
  await acrossTenants(db, 'llmLedger', (trx) =>
    trx.raw(
      `insert into llm_prompts (call_id, tenant_id, content, expires_at)
       select p.call_id, p.tenant_id, p.content,
              clock_timestamp() + s.prompt_days * interval '1 day'
         from unnest(cast(:callIds as uuid[]), cast(:tenantIds as uuid[]),
           cast(:contents as text[])) as p (call_id, tenant_id, content)
         join llm_settings s on s.tenant_id = p.tenant_id and s.keeps_prompts
         join llm_calls c on c.id = p.call_id and c.tenant_id = p.tenant_id
       on conflict do nothing`,
      values,
    ),
  );
}
