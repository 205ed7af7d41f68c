import type { ModelPrices } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';

/** A model as a vendor lists it. */
export interface OfferedModel extends ModelPrices {
  readonly id: string;
  readonly name: string;
  readonly contextTokens: number;
  readonly maxOutputTokens: number | null;
  readonly inputModalities: readonly string[];
  readonly outputModalities: readonly string[];
  readonly parameters: readonly string[];
}

/** A model as the catalogue has it, with the prices that hold now. */
export interface KnownModel extends OfferedModel {
  readonly priceSnapshotId: string;
  readonly fallbacks: readonly string[];
  readonly isEnabled: boolean;
  readonly isDefault: boolean;
  /** Whether its vendor lists it no longer. */
  readonly isGone: boolean;
}

/** What a tenant wants of its calls. */
export interface TenantLlmSettings {
  readonly tenantId: string;
  readonly keySource: 'own' | 'platform' | 'ownFirst';
  readonly defaultModel: string | null;
  readonly keepsPrompts: boolean;
  readonly hedgeAfterMs: number | null;
}

/** All that a process keeps of models and of what tenants want of them, as it was in one moment. */
export async function loadCatalogue(
  db: Knex,
): Promise<{ models: KnownModel[]; settings: TenantLlmSettings[] }> {
  const [rows] = await acrossTenantsInOneTrip(db, 'llmRing', [
    { raw: db.raw(catalogueSql).options({ name: 'llmCatalogue' }) },
  ]);
  const found: { models: KnownModel[]; settings: TenantLlmSettings[] }[] = rows ?? [];
  return found[0] ?? { models: [], settings: [] };
}

const catalogueSql = `
  select (
    select coalesce(jsonb_agg(jsonb_build_object(
             'id', m.id, 'name', m.name, 'contextTokens', m.context_tokens,
             'maxOutputTokens', m.max_output_tokens, 'inputModalities', m.input_modalities,
             'outputModalities', m.output_modalities, 'parameters', m.parameters,
             'fallbacks', m.fallbacks, 'isEnabled', m.is_enabled, 'isDefault', m.is_default,
             'isGone', m.gone_at is not null, 'priceSnapshotId', p.id,
             'promptMicrosPerMillion', p.prompt_micros_per_million,
             'completionMicrosPerMillion', p.completion_micros_per_million,
             'cachedMicrosPerMillion', p.cached_micros_per_million,
             'requestMicros', p.request_micros, 'imageMicros', p.image_micros)), '[]')
      from llm_models m join llm_price_snapshots p on p.id = m.price_snapshot_id
  ) as models, (
    select coalesce(jsonb_agg(jsonb_build_object(
             'tenantId', tenant_id, 'keySource', key_source, 'defaultModel', default_model,
             'keepsPrompts', keeps_prompts, 'hedgeAfterMs', hedge_after_ms)), '[]')
      from llm_settings
  ) as settings`;

/**
 * Writes what vendors list: new models, changed ones, and those that are gone from the lists. Prices
 * that changed become a new snapshot; those that calls were made by stay as they are. Where nobody has
 * chosen a default, the first that is there of `preferred` becomes it, else the cheapest that costs
 * something. Writing the same lists twice changes nothing more. For the purpose `llmRing`.
 */
export async function saveModels(
  trx: Knex.Transaction,
  offered: readonly OfferedModel[],
  { preferred, isComplete }: { preferred: readonly string[]; isComplete: boolean },
): Promise<{ models: number; repriced: number; gone: number }> {
  // Of two that save at once, the second finds what the first wrote.
  await trx.raw(`select pg_advisory_xact_lock(hashtext('llmModels'))`);
  const values = { offered: JSON.stringify(offered) };
  const repriced = await trx.raw(
    `with ${given}
     insert into llm_price_snapshots (id, model, prompt_micros_per_million,
       completion_micros_per_million, cached_micros_per_million, request_micros, image_micros)
     select gen_random_uuid(), g.id, ${priceColumns.map((column) => `g."${column.given}"`).join(', ')}
       from given g
       left join llm_models m on m.id = g.id
       left join llm_price_snapshots p on p.id = m.price_snapshot_id
      where p.id is null or (${priceColumns.map((column) => `p.${column.stored}`).join(', ')})
         is distinct from (${priceColumns.map((column) => `g."${column.given}"`).join(', ')})
     returning id`,
    values,
  );
  await trx.raw(
    `with ${given}
     insert into llm_models as m (id, name, context_tokens, max_output_tokens, input_modalities,
       output_modalities, parameters, price_snapshot_id)
     select g.id, g.name, g."contextTokens", g."maxOutputTokens",
            array(select jsonb_array_elements_text(g."inputModalities")),
            array(select jsonb_array_elements_text(g."outputModalities")),
            array(select jsonb_array_elements_text(g.parameters)),
            (select p.id from llm_price_snapshots p where p.model = g.id
              order by p.valid_from desc, p.id limit 1)
       from given g order by g.id
     on conflict (id) do update
       set name = excluded.name, context_tokens = excluded.context_tokens,
           max_output_tokens = excluded.max_output_tokens,
           input_modalities = excluded.input_modalities,
           output_modalities = excluded.output_modalities, parameters = excluded.parameters,
           price_snapshot_id = excluded.price_snapshot_id, gone_at = null, seen_at = now(),
           version = m.version
             + case when (m.name, m.context_tokens, m.max_output_tokens, m.price_snapshot_id,
                          m.input_modalities, m.output_modalities, m.parameters, m.gone_at)
                    is distinct from (excluded.name, excluded.context_tokens,
                          excluded.max_output_tokens, excluded.price_snapshot_id,
                          excluded.input_modalities, excluded.output_modalities,
                          excluded.parameters, cast(null as timestamptz))
                    then 1 else 0 end`,
    values,
  );
  const gone = isComplete
    ? await trx.raw(
        `with ${given}
         update llm_models set gone_at = now(), version = version + 1
          where gone_at is null and id not in (select id from given)`,
        values,
      )
    : { rowCount: 0 };
  await trx.raw(
    `update llm_models set is_default = true, version = version + 1
      where not exists (select 1 from llm_models where is_default)
        and id = (
          select m.id from llm_models m join llm_price_snapshots p on p.id = m.price_snapshot_id
           where m.gone_at is null and m.is_enabled and m.output_modalities = array['text']
             and p.completion_micros_per_million > 0
           order by array_position(cast(:preferred as text[]), m.id),
                    p.completion_micros_per_million, m.id
           limit 1)`,
    { preferred: [...preferred] },
  );
  return { models: offered.length, repriced: repriced.rowCount, gone: gone.rowCount };
}

const given = `given as (
  select distinct on (id) * from jsonb_to_recordset(cast(:offered as jsonb)) as g (
    id text, name text, "contextTokens" int, "maxOutputTokens" int, "inputModalities" jsonb,
    "outputModalities" jsonb, parameters jsonb, "promptMicrosPerMillion" bigint,
    "completionMicrosPerMillion" bigint, "cachedMicrosPerMillion" bigint, "requestMicros" bigint,
    "imageMicros" bigint)
   order by id)`;

const priceColumns = [
  { given: 'promptMicrosPerMillion', stored: 'prompt_micros_per_million' },
  { given: 'completionMicrosPerMillion', stored: 'completion_micros_per_million' },
  { given: 'cachedMicrosPerMillion', stored: 'cached_micros_per_million' },
  { given: 'requestMicros', stored: 'request_micros' },
  { given: 'imageMicros', stored: 'image_micros' },
] as const;

/** Where a vendor's list can be read, and by what: sealed. */
export interface ModelSource {
  readonly keyId: string;
  readonly vendor: 'openrouter' | 'openai';
  readonly baseUrl: string;
  readonly secret: string;
}

/**
 * One active key of the platform for each endpoint that has one, when the lists are due: nobody has
 * looked for so long, or since a key was added, whose endpoint may be a new one. For the purpose
 * `llmRing`.
 */
export async function findModelSources(
  trx: Knex.Transaction,
  { ifOlderThanMs }: { ifOlderThanMs: number },
): Promise<ModelSource[]> {
  const found = await trx.raw(
    `select distinct on (a.vendor, a.base_url)
            k.id as "keyId", a.vendor, a.base_url as "baseUrl", k.secret
       from llm_accounts a join llm_keys k on k.account_id = a.id
      where a.tenant_id is null and a.standing in ('active', 'draining')
        and k.standing in ('active', 'draining')
        and (k.expires_at is null or k.expires_at > now())
        and not exists (
          select 1 from llm_models
           where seen_at > now() - cast(:ifOlderThanMs as bigint) * interval '1 millisecond'
             and seen_at > (select max(n.created_at) from llm_keys n
                             where n.tenant_id is null and n.standing in ('active', 'draining')))
      order by a.vendor, a.base_url,
               exists (select 1 from llm_health h where h.key_id = k.id), k.created_at desc`,
    { ifOlderThanMs },
  );
  return found.rows;
}
