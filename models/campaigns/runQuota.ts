import type { Knex } from 'knex';
import { findPlan } from '../identity/subscriptions';
import { reserveQuota, settleQuota } from '../identity/quotas';
import { countRun, following } from '../messages/counts';
import { countAudience } from './audience';
import type { CampaignRun } from './runs';

type RunKey = Pick<CampaignRun, 'tenantId' | 'id'>;

/**
 * Keeps as many messages for a run as it would send now. Without a limit nothing is counted before
 * the plan is written: who counts a million customers does so for a reason.
 *
 * @throws planLimit quotaReached
 */
export async function reserveForRun(
  trx: Knex.Transaction,
  run: RunKey & Pick<CampaignRun, 'channel' | 'audience'>,
): Promise<void> {
  const { limits } = await findPlan(trx, run.tenantId);
  if (limits.messages === null) {
    return;
  }
  const { groups } = await countAudience(trx, run.tenantId, run.channel, run.audience);
  const amount = groups.reduce((sum, { customers }) => sum + customers, 0);
  await reserveMessages(trx, run, amount);
}

/**
 * Keeps exactly as many as were planned.
 *
 * @throws planLimit quotaReached
 */
export async function reservePlanned(trx: Knex.Transaction, run: RunKey): Promise<void> {
  const { planned } = await countRun(trx, run.tenantId, run.id);
  await reserveMessages(trx, run, planned);
}

/** Ends what was kept for a run: what left, or may have, or is on its way, was used. */
export async function settleRunQuota(trx: Knex.Transaction, run: RunKey): Promise<void> {
  const counted = await trx.raw(
    `select coalesce(sum(${following}), 0) as left from dispatches d
      where d.tenant_id = ? and d.run_id = ?
        and d.state in ('accepted', 'unconfirmed', 'in_doubt', 'calling')`,
    [run.tenantId, run.id],
  );
  await settleQuota(trx, {
    tenantId: run.tenantId,
    quota: 'messages',
    id: run.id,
    amount: Number(counted.rows[0].left),
  });
}

function reserveMessages(trx: Knex.Transaction, run: RunKey, amount: number): Promise<void> {
  return reserveQuota(trx, { tenantId: run.tenantId, quota: 'messages', id: run.id, amount });
}
