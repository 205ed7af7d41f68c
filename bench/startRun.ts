import type { CampaignWorkflows } from '../clients/campaigns';
import type { Channel, DoubtPolicy, Schedule } from '../domain/campaigns/types';
import type { Knex } from '../lib/db';
import { newId } from '../lib/ids';
import { withTenant } from '../models/base';
import { createRun, markWorkflowStarted, type CampaignRun } from '../models/campaigns/runs';
import { everyone } from '../tests/support/records';

/** Writes a run to everybody and starts its workflow, as the API does when somebody schedules it. */
export async function startRun(
  ground: { db: Knex; campaigns: Pick<CampaignWorkflows, 'startCampaign'> },
  campaign: { tenantId: string; campaignId: string; name: string },
  options: {
    channel?: Channel;
    schedule: Schedule;
    doubtPolicy?: DoubtPolicy;
    doubtDeadlineMs?: number;
  },
): Promise<CampaignRun> {
  const { tenantId, campaignId, name } = campaign;
  const run = await withTenant(ground.db, tenantId, (trx) =>
    createRun(trx, {
      ...options,
      id: newId(),
      tenantId,
      campaignId,
      channel: options.channel ?? 'email',
      contentVersion: 1,
      audience: everyone,
      actor: { kind: 'system', id: null },
    }),
  );
  await ground.campaigns.startCampaign({ ...run, name });
  await withTenant(ground.db, tenantId, (trx) => markWorkflowStarted(trx, tenantId, run.id));
  return run;
}
