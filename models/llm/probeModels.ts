import { freeClass } from '../../domain/llm/health';
import type { Knex } from '../../lib/db';
import { acrossTenants } from '../base';
import type { OpenedCredentials } from './probing';

/** Whose model is looked for. */
export interface ProbeModelAsk {
  accountId: string;
  tenantId: string | null;
  endpoint: Pick<OpenedCredentials, 'vendor' | 'baseUrl'>;
  allowedModels: readonly string[] | null;
  /** Of the class of free models, or of all others. */
  isFree: boolean;
}

// Days are many rows in a large installation: the newest of them say what is served.
const mostDays = 20_000;
const mostModels = 3;

/**
 * Models that a key can be asked with, the likeliest first and of those the cheapest: what its account
 * answered lately, then what others at the same address did, then what the key may use by name and,
 * for OpenRouter, whose list it is, the catalogue. Models that are not well are left out: what fails
 * with them says nothing of the key. Empty where nothing is known.
 */
export async function probeModels(db: Knex, ask: ProbeModelAsk): Promise<string[]> {
  const { keys, unwell } = await acrossTenants(db, 'llmRing', (trx) => surroundingsOf(trx, ask));
  const { tenantId, allowedModels, isFree, endpoint } = ask;
  return acrossTenants(db, 'llmLedger', async (trx) => {
    const { rows } = await trx.raw(
      `with days as materialized (
         select u.model, u.key_id, u.completion_tokens, u.calls > u.failed as is_served
           from llm_usage_days u
          where u.day > current_date - 31 ${tenantId === null ? '' : 'and u.tenant_id = :tenantId'}
          order by u.day desc limit :mostDays
       ), known as (
         select d.model as id, case when k.is_own then 0 else 1 end as rank
           from days d
           join jsonb_to_recordset(cast(:keys as jsonb)) as k (id uuid, is_own boolean)
                on k.id = d.key_id
          where d.is_served and d.completion_tokens > 0
         union all
         select name, 2 from unnest(cast(:names as text[])) as n (name)
         union all
         select id, 2 from llm_models where :isListed
       )
       select k.id
         from (select id, min(rank) as rank from known group by id) k
         left join llm_models m on m.id = k.id
         left join llm_price_snapshots p on p.id = m.price_snapshot_id
        where (m.id is null
               or (m.is_enabled and m.gone_at is null and 'text' = any(m.output_modalities)))
          and (right(k.id, 5) = :freeClass) = :isFree
          and (cast(:patterns as text[]) is null or k.id like any(cast(:patterns as text[])))
          and k.id <> all(cast(:unwell as text[]))
        order by k.rank, p.request_micros,
                 p.prompt_micros_per_million + p.completion_micros_per_million, k.id
        limit :mostModels`,
      {
        ...(tenantId === null ? {} : { tenantId }),
        keys: JSON.stringify(keys),
        unwell,
        names: (allowedModels ?? []).filter((name) => !name.endsWith('*')),
        patterns: allowedModels?.map(likePattern) ?? null,
        isListed: endpoint.vendor === 'openrouter',
        isFree,
        freeClass,
        mostDays,
        mostModels,
      },
    );
    return rows.map(({ id }: { id: string }) => id);
  });
}

/** The pool's keys at the same address, and its models that are not well. */
async function surroundingsOf(
  trx: Knex.Transaction,
  { accountId, tenantId, endpoint }: ProbeModelAsk,
): Promise<{ keys: { id: string; is_own: boolean }[]; unwell: string[] }> {
  const keys = await trx('llm_keys as k')
    .join('llm_accounts as a', 'a.id', 'k.account_id')
    .where({ 'k.tenant_id': tenantId, 'a.vendor': endpoint.vendor, 'a.base_url': endpoint.baseUrl })
    .select('k.id', 'k.account_id');
  const models = await trx('llm_health')
    .where({ tenant_id: tenantId })
    .whereNotNull('model')
    .whereRaw('(account_id is null or account_id = ?)', [accountId])
    .select('model');
  return {
    keys: keys.map((key) => ({ id: key.id, is_own: key.account_id === accountId })),
    unwell: models.flatMap(({ model }) => model ?? []),
  };
}

function likePattern(name: string): string {
  return name.replaceAll(/[\\%_]/g, '\\$&').replace(/\*$/, '%');
}
