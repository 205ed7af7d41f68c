import type { TurnedCampaign } from '../../models/campaigns/heldRuns';
import type { ApiDeps } from '../deps';

const atOnce = 10;

/**
 * Tells workflows that their campaigns were turned in the records, where it holds already. Ends with
 * the first that cannot be told: the reconciler tells the rest within minutes.
 */
export async function tellWorkflows(
  { campaigns, logger }: Pick<ApiDeps, 'campaigns' | 'logger'>,
  turned: readonly TurnedCampaign[],
): Promise<void> {
  for (let from = 0; from < turned.length; from += atOnce) {
    const told = await Promise.allSettled(
      turned.slice(from, from + atOnce).map((campaign) => campaigns.signalSteering(campaign)),
    );
    const failed = told.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      logger.warn(
        { err: failed.reason, campaigns: turned.length - from },
        'campaigns not told yet',
      );
      return;
    }
  }
}
