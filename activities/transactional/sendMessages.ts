import { Context } from '@temporalio/activity';
import { listenTo } from '../../lib/listen';
import { acrossTenants } from '../../models/base';
import type { Slice } from '../../models/messages/claims';
import { newMessages } from '../../models/transactional/channel';
import { claimMessages, releaseEarlierSlices } from '../../models/transactional/claims';
import { tendStandingRuns, type Tended } from '../../models/transactional/tend';
import type { ActivityDeps } from '../deps';
import { createAccountOpener } from './openAccounts';
import { createPlaces } from './places';
import { sendClaimed, type SentMessages } from './sendClaimed';
import { createSettler } from './settler';

// A lost notification costs this much; an idle look costs Postgres a tenth of a millisecond.
const lookEveryMs = 250;
// Where some have just come, more will: on a busy machine whoever tells of them may be late.
const lookSoonMs = 25;
const soonForMs = 2_000;
const heartbeatEveryMs = 1_000;

/**
 * One lane of messages that were asked for one by one, of all tenants, for so long: told of each new
 * one, it claims, asks for rate, passes the gate, calls and settles many at once. Running it twice is
 * safe because every message is claimed under a fencing number, and a later attempt first releases or
 * doubts what the earlier one held.
 */
export function createSendMessages(deps: ActivityDeps) {
  const { db } = deps;
  const lane = { ...deps, openAccount: createAccountOpener(deps.senders) };
  return async function sendMessages({ forMs }: { forMs: number }): Promise<SentMessages> {
    const context = Context.current();
    const stopped = context.cancellationSignal;
    const slice: Slice = {
      workflowRunId: context.info.workflowExecution?.runId ?? '',
      activityId: context.info.activityId,
      attempt: context.info.attempt,
    };
    const totals: SentMessages = { calls: 0, accepted: 0 };
    const beating = setInterval(() => context.heartbeat(totals), heartbeatEveryMs);
    const told = listenTo(db, newMessages);
    const settler = createSettler(db, stopped);
    const underWay = new Set<Promise<void>>();
    // Whoever had no place may have one again.
    const places = createPlaces(() => told.tell());
    let lastClaimAtMs = 0;
    let failure: unknown = null;
    try {
      if (slice.attempt > 1) {
        await acrossTenants(db, 'transactional', (trx) => releaseEarlierSlices(trx, slice));
      }
      const endsAtMs = Date.now() + forMs;
      while (!stopped.aborted && failure === null && Date.now() < endsAtMs) {
        const free = places.free();
        const claimed = free === 0 ? [] : await claimMessages(db, slice, free, places.full());
        if (claimed.length === 0) {
          const isSoon = Date.now() - lastClaimAtMs < soonForMs;
          await told.next(isSoon ? lookSoonMs : lookEveryMs, stopped);
          continue;
        }
        lastClaimAtMs = Date.now();
        places.take(claimed);
        const work = sendClaimed(lane, claimed, {
          settler,
          onSettled: (message) => places.leave(message),
        })
          .then((sent) => {
            totals.calls += sent.calls;
            totals.accepted += sent.accepted;
          })
          .catch((error: unknown) => {
            // What it held is free again when its short lease is over.
            failure ??= error;
          })
          .finally(() => {
            claimed.forEach((message) => places.leave(message));
            underWay.delete(work);
          });
        underWay.add(work);
      }
    } finally {
      await Promise.all(underWay);
      clearInterval(beating);
      await told.close();
    }
    if (failure !== null) {
      throw failure;
    }
    return totals;
  };
}

/** Ends messages, doubts and runs that nobody else ends; repeating it changes nothing. */
export function createTendStandingRuns(deps: ActivityDeps) {
  return (): Promise<Tended> => acrossTenants(deps.db, 'transactional', tendStandingRuns);
}
