import type { Health } from '../../domain/llm/health';
import type { KeyStanding } from '../../domain/llm/types';
import { platformPool } from '../../domain/llm/types';
import type { Knex, Rows } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';

/** Everything by which a pool's keys are chosen, as it was in one moment. */
export interface StoredPool {
  readonly id: string;
  /** Null for the platform's. */
  readonly tenantId: string | null;
  /** Rises with every change; of two of the same pool the higher one is the later. */
  readonly version: number;
  /** Null where the tenant never said. */
  readonly keySource: 'own' | 'platform' | 'ownFirst' | null;
  readonly accounts: readonly StoredAccount[];
  /** Those that are not revoked. */
  readonly keys: readonly StoredKey[];
  readonly health: readonly Health[];
}

export interface StoredAccount {
  readonly id: string;
  readonly name: string;
  readonly vendor: 'openrouter' | 'openai';
  readonly baseUrl: string;
  readonly standing: KeyStanding;
  readonly maxConcurrency: number | null;
}

export interface StoredKey {
  readonly id: string;
  readonly accountId: string;
  /** Sealed for its row: opens nowhere else. */
  readonly secret: string;
  readonly weight: number;
  readonly maxConcurrency: number | null;
  readonly allowedModels: readonly string[] | null;
  readonly workspace: string | null;
  readonly expiresAt: number | null;
  readonly standing: KeyStanding;
  readonly limitMicros: number | null;
  readonly limitRemainingMicros: number | null;
  readonly limitReset: 'daily' | 'weekly' | 'monthly' | null;
  readonly limitsAt: number | null;
}

/** The version of every pool there is, by its id. */
export async function listPoolVersions(db: Knex): Promise<Map<string, number>> {
  const raw = db.raw('select id, ring_version as version from llm_pools');
  const rows: { id: string; version: number }[] = await oneTrip(db, raw, 'llmPoolVersions');
  return new Map(rows.map(({ id, version }) => [id, version]));
}

/** Pools as they are in one moment, all of them or those that are named, where they exist. */
export async function loadPools(db: Knex, ids: readonly string[] | null): Promise<StoredPool[]> {
  const raw = db.raw(
    `with pools as materialized (
       select id, tenant_id, ring_version from llm_pools
        where cast(:ids as uuid[]) is null or id = any(cast(:ids as uuid[]))
     ), accounts as (
       select coalesce(tenant_id, :platformPool) as pool, jsonb_agg(jsonb_build_object(
                'id', id, 'name', name, 'vendor', vendor, 'baseUrl', base_url,
                'standing', standing, 'maxConcurrency', max_concurrency) order by id) as list
         from llm_accounts where ${inPools} group by 1
     ), keys as (
       select coalesce(tenant_id, :platformPool) as pool, jsonb_agg(jsonb_build_object(
                'id', id, 'accountId', account_id, 'secret', secret, 'weight', weight,
                'maxConcurrency', max_concurrency, 'allowedModels', to_jsonb(allowed_models),
                'workspace', workspace, 'expiresAt', ${ms('expires_at')}, 'standing', standing,
                'limitMicros', limit_micros, 'limitRemainingMicros', limit_remaining_micros,
                'limitReset', limit_reset, 'limitsAt', ${ms('limits_at')}) order by id) as list
         from llm_keys where standing <> 'revoked' and ${inPools} group by 1
     ), health as (
       select coalesce(tenant_id, :platformPool) as pool, jsonb_agg(${healthJson}) as list
         from llm_health where ${inPools} group by 1
     )
     select p.id, p.tenant_id as "tenantId", p.ring_version as version,
            s.key_source as "keySource", coalesce(a.list, '[]') as accounts,
            coalesce(k.list, '[]') as keys, coalesce(h.list, '[]') as health
       from pools p
       left join llm_settings s on s.tenant_id = p.tenant_id
       left join accounts a on a.pool = p.id
       left join keys k on k.pool = p.id
       left join health h on h.pool = p.id`,
    { ids: ids === null ? null : [...ids], platformPool },
  );
  return oneTrip(db, raw, 'llmPools');
}

const inPools = `(cast(:ids as uuid[]) is null or tenant_id = any(cast(:ids as uuid[]))
  or (tenant_id is null and :platformPool = any(cast(:ids as uuid[]))))`;

/** SQL: an instant in ms since the epoch. */
export function ms(column: string): string {
  return `cast(round(extract(epoch from ${column}) * 1000) as bigint)`;
}

/** SQL: a row of llm_health as `Health`. */
export const healthJson = `jsonb_build_object(
  'subject', jsonb_build_object('scope', scope, 'accountId', account_id, 'keyId', key_id,
    'model', model),
  'state', state, 'reason', reason, 'until', ${ms('until')}, 'nextCheckAt', ${ms('next_check_at')},
  'failures', failures, 'evidence', evidence, 'since', ${ms('since')},
  'updatedAt', ${ms('updated_at')})`;

// Each process reads with one loop, which must not wait for a host that is gone.
const deadlineMs = 4_000;

async function oneTrip(db: Knex, raw: Knex.Raw, name: string): Promise<Rows> {
  const [rows] = await acrossTenantsInOneTrip(db, 'llmRing', [{ raw: raw.options({ name }) }], {
    deadlineMs,
  });
  return rows ?? [];
}
