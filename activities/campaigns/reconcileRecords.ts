import { heartbeat } from '@temporalio/activity';
import { acrossTenants, withTenant } from '../../models/base';
import { failAbandonedImports } from '../../models/customers/imports';
import { listOpenRuns, type OpenRun } from '../../models/campaigns/reconciling';
import { endRun, markWorkflowStarted } from '../../models/campaigns/runs';
import { expireTestSends } from '../../models/campaigns/testSends';
import { releaseExpiredLeases } from '../../models/messages/claims';
import { forgetContacts } from '../../models/messages/contacts';
import { cancelRemaining, settleOverdueDoubts } from '../../models/messages/doubt';
import { countOpenDoubts } from '../../models/messages/doubtsCount';
import { settleAbandonedQuotas } from '../../models/identity/quotas';
import { expireSubscriptions } from '../../models/identity/subscriptions';
import { listKeyringAccounts } from '../../models/llm/keyrings';
import { endLostGenerations } from '../../models/content/generations';
import { forgetOldKeys } from '../../models/requests/idempotencyKeys';
import type { ActivityDeps } from '../deps';

export interface Reconciled {
  released: number;
  doubted: number;
  started: number;
  steered: number;
  failed: number;
  /** Calls in doubt of all campaigns; not there in what older workers answered. */
  doubtsOpen?: number;
  oldestDoubtSeconds?: number;
}

// An import writes a batch every few milliseconds; one that stands still this long has died.
const abandonedAfterMs = 10 * 60_000;
// One that was terminated is back after this.
const keyringsEveryMs = 60_000;
const terminated = 'The workflow of the campaign was terminated';

/** One look over all runs; each repair changes nothing when it is found done. */
export function createReconcileRecords(deps: ActivityDeps) {
  const keyringsAt = new Map<string, number>();
  return async function reconcileRecords(): Promise<Reconciled> {
    const leases = await acrossTenants(deps.db, 'reconcile', (trx) =>
      releaseExpiredLeases(trx, null),
    );
    await acrossTenants(deps.db, 'reconcile', async (trx) => {
      await settleOverdueDoubts(trx, null);
      await forgetOldKeys(trx);
      await forgetContacts(trx);
      await expireTestSends(trx);
      await failAbandonedImports(trx, abandonedAfterMs);
      await endLostGenerations(trx);
    });
    // Each by itself: what one of them waits for must not hold up the others, or lock their rows.
    await acrossTenants(deps.db, 'reconcile', settleAbandonedQuotas);
    await acrossTenants(deps.db, 'reconcile', expireSubscriptions);
    await ensureKeyrings();
    const runs = await acrossTenants(deps.db, 'reconcile', listOpenRuns);
    const doubts = await acrossTenants(deps.db, 'reconcile', countOpenDoubts);
    const found: Reconciled = {
      ...leases,
      started: 0,
      steered: 0,
      failed: 0,
      doubtsOpen: doubts.reduce((sum, { calls }) => sum + calls, 0),
      oldestDoubtSeconds: Math.max(0, ...doubts.map(({ oldestSeconds }) => oldestSeconds)),
    };
    for (const run of runs) {
      heartbeat();
      try {
        await repair(run, found);
      } catch (error) {
        // The next round tries it again; the other runs do not wait for this one.
        deps.logger.warn({ err: error, runId: run.id }, 'a run could not be reconciled');
      }
    }
    return found;
  };

  // Also those of accounts that were added while Temporal was away.
  async function ensureKeyrings(): Promise<void> {
    const now = Date.now();
    const accounts = await acrossTenants(deps.db, 'llmRing', listKeyringAccounts);
    const due = accounts.filter(
      ({ accountId }) => now - (keyringsAt.get(accountId) ?? 0) >= keyringsEveryMs,
    );
    try {
      await deps.ensureKeyrings(due);
      due.forEach(({ accountId }) => keyringsAt.set(accountId, now));
    } catch (error) {
      // The next round tries it again.
      deps.logger.warn({ err: error }, 'keyrings could not be started');
    }
  }

  async function repair(run: OpenRun, found: Reconciled): Promise<void> {
    if (await deps.isRunAlive(run)) {
      // Started, and the process that started it died before it said so.
      await markStarted(run);
      if (run.isSteeringUnseen) {
        await deps.signalSteering(run);
        found.steered += 1;
      }
    } else if (run.isStarted) {
      found.failed += await failRun(run.tenantId, run.id);
    } else {
      await deps.startCampaign(run);
      await markStarted(run);
      found.started += 1;
    }
  }

  async function markStarted(run: OpenRun): Promise<void> {
    if (!run.isStarted) {
      await withTenant(deps.db, run.tenantId, (trx) =>
        markWorkflowStarted(trx, run.tenantId, run.id),
      );
    }
  }

  function failRun(tenantId: string, runId: string): Promise<number> {
    return withTenant(deps.db, tenantId, async (trx) => {
      const hasEnded = await endRun(trx, {
        tenantId,
        runId,
        state: 'failed',
        failure: terminated,
        actor: { kind: 'operator', id: null },
      });
      await cancelRemaining(trx, tenantId, runId);
      return hasEnded ? 1 : 0;
    });
  }
}
