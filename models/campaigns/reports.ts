import type { QueryBuilder } from 'objection';
import { notFound } from '../../domain/errors';
import { planWaves, type WavePlan } from '../../domain/campaigns/waves';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { countAudience, type AudienceCount } from './audience';
import { CampaignLogEntry } from './CampaignLogEntry';
import { Run } from './Run';
import { getRun, type CampaignRun } from './runs';
import { loadTenantZone } from './tenantZone';

interface CampaignKey {
  tenantId: string;
  campaignId: string;
}

/**
 * The run with this number, without one the newest; null when the campaign was never scheduled.
 *
 * @throws notFound campaign, or run for a number there is none of.
 */
export async function findReportedRun(
  trx: Knex.Transaction,
  { tenantId, campaignId }: CampaignKey,
  runN?: number,
): Promise<CampaignRun | null> {
  const found = await trx.raw(
    `select r.id
       from campaigns c
       left join campaign_runs r on r.tenant_id = c.tenant_id and r.campaign_id = c.id
        and case when cast(:runN as int) is null then r.id = c.current_run_id
                 else r.n = cast(:runN as int) end
      where c.tenant_id = :tenantId and c.id = :campaignId`,
    { tenantId, campaignId, runN: runN ?? null },
  );
  const row: { id: string | null } | undefined = found.rows[0];
  if (row === undefined) {
    throw notFound('campaign');
  }
  if (row.id === null && runN !== undefined) {
    throw notFound('run');
  }
  return row.id === null ? null : getRun(trx, tenantId, row.id);
}

/** The same for a report there is none of without a run. */
export async function getReportedRun(
  trx: Knex.Transaction,
  key: CampaignKey,
  runN?: number,
): Promise<CampaignRun> {
  const run = await findReportedRun(trx, key, runN);
  if (run === null) {
    throw notFound('run');
  }
  return run;
}

/** What the run's plan would be if it were written now. */
export async function estimatePlan(
  trx: Knex.Transaction,
  run: CampaignRun,
  now: Date,
): Promise<{ audience: AudienceCount; plan: WavePlan }> {
  const audience = await countAudience(trx, run.tenantId, run.channel, run.audience);
  const plan = planWaves({
    spec: run.schedule,
    groups: audience.groups,
    tenantZone: await loadTenantZone(trx, run.tenantId),
    now,
  });
  return { audience, plan };
}

export const runSorts = {
  n: { by: 'n', type: 'bigint' },
} as const satisfies Record<string, SortKey>;

/** A campaign's runs. */
export function runsOf(
  trx: Knex.Transaction,
  { tenantId, campaignId }: CampaignKey,
): QueryBuilder<Run, Run[]> {
  return Run.query(trx).where({ tenant_id: tenantId, campaign_id: campaignId });
}

export const logSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
} as const satisfies Record<string, SortKey>;

/** A campaign's lifecycle log. */
export function logOf(
  trx: Knex.Transaction,
  { tenantId, campaignId }: CampaignKey,
  filters: { kind?: string | undefined; runId?: string | undefined },
): QueryBuilder<CampaignLogEntry, CampaignLogEntry[]> {
  const query = CampaignLogEntry.query(trx).where({
    tenant_id: tenantId,
    campaign_id: campaignId,
  });
  if (filters.kind !== undefined) {
    query.where('kind', filters.kind);
  }
  if (filters.runId !== undefined) {
    query.where('run_id', filters.runId);
  }
  return query;
}
