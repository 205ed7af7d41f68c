import type { Audience } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { planRun, type SealedPlan } from '../../models/campaigns/planning';
import { createRun, endRun, type CampaignRun } from '../../models/campaigns/runs';
import { newsletter } from './content';
import type { BenchTenant } from './customers';

const nobody = { kind: 'system', id: null } as const;

/** Writes a run of a new campaign, as the API does when somebody schedules it. */
export function writeRun(db: Knex, tenant: BenchTenant): Promise<CampaignRun> {
  return withTenant(db, tenant.tenantId, (trx) => insertRun(trx, tenant));
}

/**
 * Writes a run with its whole ledger by the product's own planning, all waves due now. `isEnded`
 * makes it nobody's business but the caller's: neither workers nor the reconciler look at it.
 */
export async function writePlannedRun(
  db: Knex,
  tenant: BenchTenant,
  options: { isEnded: boolean },
): Promise<{ run: CampaignRun; plan: SealedPlan }> {
  const written = await withTenant(
    db,
    tenant.tenantId,
    async (trx) => {
      const run = await insertRun(trx, tenant);
      const plan = await planRun(trx, {
        tenantId: tenant.tenantId,
        runId: run.id,
        now: new Date(),
      });
      return { run, plan };
    },
    { isolationLevel: 'repeatable read' },
  );
  // What no tenant does: its waves begin when they were planned to.
  await db.raw(
    `update waves set starts_at = now(), closes_at = now() + (closes_at - starts_at)
      where run_id = ?`,
    [written.run.id],
  );
  if (options.isEnded) {
    await closeRun(db, written.run);
  }
  return written;
}

/** Ends a run whose work was not a workflow's. */
export async function closeRun(db: Knex, run: CampaignRun): Promise<void> {
  await withTenant(db, run.tenantId, (trx) =>
    endRun(trx, { tenantId: run.tenantId, runId: run.id, state: 'completed', actor: nobody }),
  );
}

// Each run has a campaign of its own: a campaign is sent once.
async function insertRun(trx: Knex.Transaction, tenant: BenchTenant): Promise<CampaignRun> {
  const { tenantId } = tenant;
  const campaignId = newId();
  await trx('campaigns').insert({
    id: campaignId,
    tenant_id: tenantId,
    name: 'Spring collection',
    channel: 'email',
    audience: JSON.stringify(everyone),
  });
  await trx('campaign_contents').insert({
    tenant_id: tenantId,
    campaign_id: campaignId,
    version: 1,
    from_email: newsletter.fromEmail,
    from_name: newsletter.fromName,
    subject: newsletter.subject,
    html: newsletter.html,
    links: [...newsletter.links],
  });
  return createRun(trx, {
    id: newId(),
    tenantId,
    campaignId,
    channel: 'email',
    contentVersion: 1,
    audience: everyone,
    schedule: tenant.schedule,
    actor: nobody,
  });
}

const everyone: Audience = { includeTags: [], excludeTags: [], customerIds: [] };
