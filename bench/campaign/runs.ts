import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { planRun, type SealedPlan } from '../../models/campaigns/planning';
import { createRun, endRun, type CampaignRun } from '../../models/campaigns/runs';
import type { BenchTenant } from './customers';

const nobody = { kind: 'system', id: null } as const;

/** Writes a run of the campaign, as the API does when somebody schedules it. */
export function writeRun(db: Knex, tenant: BenchTenant): Promise<CampaignRun> {
  return withTenant(db, tenant.tenantId, (trx) => insertRun(trx, tenant));
}

/**
 * Writes a run with its whole ledger by the product's own planning, all waves due now. `isEnded`
 * makes it nobody's business but the caller's: neither workers nor the reconciler look at it.
 */
export function writePlannedRun(
  db: Knex,
  tenant: BenchTenant,
  options: { isEnded: boolean },
): Promise<{ run: CampaignRun; plan: SealedPlan }> {
  return withTenant(
    db,
    tenant.tenantId,
    async (trx) => {
      const run = await insertRun(trx, tenant);
      const plan = await planRun(trx, {
        tenantId: tenant.tenantId,
        runId: run.id,
        now: new Date(),
      });
      await trx.raw(
        `update waves set starts_at = now(), closes_at = now() + (closes_at - starts_at)
          where run_id = ?`,
        [run.id],
      );
      if (options.isEnded) {
        await endRun(trx, {
          tenantId: tenant.tenantId,
          runId: run.id,
          state: 'completed',
          actor: nobody,
        });
      }
      return { run, plan };
    },
    { isolationLevel: 'repeatable read' },
  );
}

/** Ends a run whose work was not a workflow's. */
export async function closeRun(db: Knex, run: CampaignRun): Promise<void> {
  await withTenant(db, run.tenantId, (trx) =>
    endRun(trx, { tenantId: run.tenantId, runId: run.id, state: 'completed', actor: nobody }),
  );
}

function insertRun(trx: Knex.Transaction, tenant: BenchTenant): Promise<CampaignRun> {
  return createRun(trx, {
    id: newId(),
    tenantId: tenant.tenantId,
    campaignId: tenant.campaignId,
    channel: 'email',
    contentVersion: 1,
    audience: { includeTags: [], excludeTags: [], customerIds: [] },
    schedule: tenant.schedule,
    actor: nobody,
  });
}
