import { Context } from '@temporalio/activity';
import { withTenant } from '../../models/base';
import { getRun } from '../../models/campaigns/runs';
import { countOpen, settleOverdueDoubts } from '../../models/messages/doubt';
import type { RunRef } from '../campaigns/runs';
import type { ActivityDeps } from '../deps';
import { createLookUps, type LookUpCounts } from './lookUps';

/** What became of a run's doubts in one look; the numbers are calls. */
export interface SettledRunDoubts extends LookUpCounts {
  /** Ended by the policy because their deadline is over. */
  overdue: number;
  /** Of these, planned once more. */
  again: number;
  /** When the vendor is to be asked again; null when there is nobody to ask, or nothing to ask for. */
  nextLookUpAt: string | null;
  /** The same, or the next deadline if that is sooner; null when nothing is in doubt. */
  nextAt: string | null;
}

const heartbeatEveryMs = 5_000;

/**
 * Asks the vendor of a run for its calls in doubt, and applies the policy to those whose deadline is
 * over. Running it twice is safe: a look-up changes nothing, each is taken by one worker at a time,
 * and of all that settle a doubt only the first does.
 */
export function createSettleRunDoubts(deps: ActivityDeps) {
  const lookUp = createLookUps(deps);
  return async function settleRunDoubts(run: RunRef): Promise<SettledRunDoubts> {
    const { tenantId, runId } = run;
    const context = Context.current();
    const counts: LookUpCounts = { asked: 0, found: 0, notSent: 0 };
    const beating = setInterval(() => context.heartbeat(counts), heartbeatEveryMs);
    try {
      const lookUpAt = await lookUp(run, counts, context.cancellationSignal);
      const { overdue, open } = await withTenant(deps.db, tenantId, async (trx) => {
        const { schedule } = await getRun(trx, tenantId, runId);
        return {
          overdue: await settleOverdueDoubts(trx, {
            tenantId,
            runId,
            windowMinutes: schedule.windowMinutes ?? 60,
          }),
          open: await countOpen(trx, tenantId, runId),
        };
      });
      const next = [lookUpAt, open.nextDoubtAt].filter((at) => at !== null);
      return {
        ...counts,
        overdue: overdue.assumed + overdue.unconfirmed + overdue.again,
        again: overdue.again,
        nextLookUpAt: lookUpAt?.toISOString() ?? null,
        nextAt:
          next.length === 0
            ? null
            : new Date(Math.min(...next.map((at) => at.getTime()))).toISOString(),
      };
    } finally {
      clearInterval(beating);
    }
  };
}
