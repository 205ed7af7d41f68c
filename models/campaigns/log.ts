import type { Knex } from 'knex';
import type { Actor } from '../../domain/campaigns/types';
import { newId } from '../../lib/ids';

/** Adds one line to a campaign's lifecycle log, in the transaction of what it tells about. */
export async function logCampaign(
  trx: Knex.Transaction,
  entry: {
    tenantId: string;
    campaignId: string;
    runId: string | null;
    kind: string;
    actor: Actor;
    detail?: Record<string, unknown>;
  },
): Promise<void> {
  await trx('campaign_log').insert({
    id: newId(),
    tenant_id: entry.tenantId,
    campaign_id: entry.campaignId,
    run_id: entry.runId,
    kind: entry.kind,
    actor_kind: entry.actor.kind,
    actor_id: entry.actor.id,
    detail: JSON.stringify(entry.detail ?? {}),
  });
}
