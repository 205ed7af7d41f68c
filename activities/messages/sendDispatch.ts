import { withTenantByKey } from '../../models/base';
import { unclaimDispatch, type ClaimedDispatch, type WaveKey } from '../../models/messages/claims';
import { passGate } from '../../models/messages/gate';
import { isOver, type Leave } from '../../models/messages/leave';
import { loadRecipients } from '../../models/messages/recipients';
import { blockAccount, slowDown } from '../../models/messages/accountPace';
import { lookAtRate, reserveRate, type RateCall } from '../../models/messages/rates';
import {
  setAsideRecipients,
  settleAccepted,
  settleCall,
  splitDispatch,
  type Call,
} from '../../models/messages/settle';
import { splitOffMessages, splitToFit } from '../../models/messages/splitOff';
import type { EmailDraft, EmailOutcome, EmailProvider } from '../../providers/email/types';
import type { ActivityDeps } from '../deps';
import type { AccountSender } from './accountSenders';
import { createLimiter } from './limiter';
import { outlastOutage } from './outlastOutage';
import type { LinkDeps } from './recipient';
import { startRendering, type RenderedMail } from './renderMail';
import { holdRun, refusedMessage } from './holdRun';
import { missedTurn, waitReasonOf } from './notTaken';
import { nothingSent, type SentCounts } from './sentCounts';
import type { RunMail } from './runContent';
import { waitMs } from './wait';

type DispatchDeps = Pick<ActivityDeps, 'db' | 'leaseMs' | 'writeCall'> & LinkDeps;

/** One claimed dispatch, and what its lane knows about it. */
export interface DispatchWork {
  wave: WaveKey;
  dispatch: ClaimedDispatch;
  mail: RunMail;
  sender: AccountSender;
  batch: EmailProvider;
  signal: AbortSignal;
}

// Calls a process prepares at once: enough for the database to be asked while others are rendered.
// However many lanes there are, only so many hold a thousand customers and their texts in memory.
const mostPreparedAtOnce = 3;

/**
 * Makes the function that takes one claimed dispatch as far as it goes now: to its settled call, or
 * back to planned.
 */
export function createSendDispatch(
  deps: DispatchDeps,
): (work: DispatchWork) => Promise<SentCounts> {
  const preparing = createLimiter(mostPreparedAtOnce);
  return async function sendDispatch(work) {
    const { wave, dispatch, batch } = work;
    const { tenantId, runId } = wave;
    const rate = await lookAtRate(deps.db, rateCall(work));
    if (rate.kind === 'tooLarge') {
      await withTenantByKey(deps.db, tenantId, (trx) =>
        splitToFit(trx, { tenantId, runId, dispatch, most: rate.most }),
      );
      await giveBack(deps, work, null);
      return nothingSent;
    }
    if (rate.kind === 'wait') {
      await giveBack(deps, work, { notBefore: rate.until, reason: rate.reason });
      return nothingSent;
    }
    const write = deps.writeCall ?? ((each: DispatchWork) => writeCall(deps, each, batch.draft()));
    const written = await preparing(() => write(work));
    if (written === null) {
      return nothingSent;
    }
    const call =
      rate.kind === 'unlimited'
        ? await letLeave(deps, work, written, null)
        : await whenItsTurn(deps, work, written);
    if (call?.kind !== 'left') {
      return { ...nothingSent, leftOut: call?.kind === 'empty' ? call.leftOut : 0 };
    }
    const outcome = await call.reply;
    const reference = { tenantId, runId, dispatchN: dispatch.n, attempt: call.attempt };
    await outlastOutage(work.signal, () => settle(deps, reference, outcome));
    if ('retryAfterMs' in outcome && outcome.retryAfterMs > 0) {
      await blockAccount(deps.db, work.sender.accountId, {
        forMs: outcome.retryAfterMs,
        reason: waitReasonOf(outcome),
      });
    }
    if (outcome.kind === 'throttled') {
      await slowDown(deps.db, work.sender.accountId);
    }
    return countOutcome(outcome, call.messages, call.leftOut);
  };
}

type LeavingCall =
  /** The bytes are on their way; what comes of them is still to be settled. */
  | {
      kind: 'left';
      attempt: number;
      messages: number;
      leftOut: number;
      reply: Promise<EmailOutcome>;
    }
  /** Nobody is left to be written to. */
  | { kind: 'empty'; leftOut: number };

/** Loads and renders. Null when the dispatch went back instead. */
async function writeCall(
  deps: DispatchDeps,
  work: DispatchWork,
  draft: EmailDraft,
): Promise<RenderedMail | null> {
  const { wave, dispatch, mail } = work;
  const { tenantId, runId } = wave;
  const rendering = startRendering(deps, { mail, runId, draft });
  const { fields, attributes } = mail;
  const whose = { tenantId, runId, channel: 'email', dispatch } as const;
  const wanted = { ...whose, fields, attributes, areHashesSummed: true };
  const loaded = await loadRecipients(deps.db, wanted, (recipient) => rendering.add(recipient));
  const rendered = await rendering.finish(loaded, work.signal);
  const isShared = rendered.ownCall.length > 0 && dispatch.messageCount > 1;
  if (isShared) {
    await withTenantByKey(deps.db, tenantId, (trx) =>
      splitOffMessages(trx, tenantId, runId, dispatch, rendered.ownCall),
    );
  }
  if (isShared || work.signal.aborted) {
    await giveBack(deps, work, null);
    return null;
  }
  return rendered;
}

/**
 * Reserves the call's place under the account's limits and waits for it. Only now, with the call
 * written, so that it leaves in the window in which it was counted.
 */
async function whenItsTurn(
  deps: DispatchDeps,
  work: DispatchWork,
  written: RenderedMail,
): Promise<LeavingCall | null> {
  const rate = await reserveRate(deps.db, rateCall(work));
  if (rate.kind === 'wait') {
    await giveBack(deps, work, { notBefore: rate.until, reason: rate.reason });
    return null;
  }
  if (rate.kind === 'reserved' && rate.waitMs > 0) {
    await waitMs(rate.waitMs, work.signal);
  }
  if (rate.kind === 'tooLarge' || work.signal.aborted) {
    await giveBack(deps, work, null);
    return null;
  }
  return letLeave(deps, work, written, rate.kind === 'reserved' ? rate.leave : null);
}

function rateCall({ wave, dispatch, sender }: DispatchWork): RateCall {
  const { accountId } = sender;
  return { accountId, tenantId: wave.tenantId, calls: 1, messages: dispatch.messageCount };
}

/** Passes the gate and starts the call; resolves without waiting for its reply. */
async function letLeave(
  deps: DispatchDeps,
  work: DispatchWork,
  written: RenderedMail,
  leave: Leave | null,
): Promise<LeavingCall | null> {
  const { wave, dispatch, mail } = work;
  const { tenantId, runId } = wave;
  const gate = await passGate(deps.db, {
    tenantId,
    runId,
    channel: 'email',
    dispatch,
    leaseMs: deps.leaseMs,
    leaveBefore: leave?.before ?? null,
    loaded: written.loaded,
    notRendered: written.failed,
  });
  if (gate.kind === 'shut') {
    await giveBack(deps, work, null);
    return null;
  }
  if (gate.kind === 'empty') {
    return { kind: 'empty', leftOut: dispatch.messageCount - gate.heldBack };
  }
  return {
    kind: 'left',
    attempt: gate.attempt,
    messages: written.messageNs.filter((n) => !gate.leftOut.has(n)).length,
    leftOut: gate.leftOut.size - gate.heldBack,
    reply: isOver(leave)
      ? Promise.resolve(missedTurn)
      : written.draft.send(
          {
            ...written.message,
            from: mail.from,
            replyTo: mail.replyTo,
            reference: { runId, dispatchN: dispatch.n, attempt: gate.attempt },
          },
          gate.leftOut,
        ),
  };
}

function giveBack(
  deps: DispatchDeps,
  { wave, dispatch }: DispatchWork,
  wait: { notBefore: Date; reason: string } | null,
): Promise<void> {
  return withTenantByKey(deps.db, wave.tenantId, (trx) =>
    unclaimDispatch(trx, wave.tenantId, wave.runId, dispatch, wait),
  );
}

/** Writes what the provider's outcome makes of the dispatch and the run. */
function settle(deps: DispatchDeps, call: Call, outcome: EmailOutcome): Promise<void> {
  if (outcome.kind === 'accepted') {
    return settleAccepted(deps.db, call, outcome);
  }
  return withTenantByKey(deps.db, call.tenantId, async (trx) => {
    switch (outcome.kind) {
      case 'recipientsRefused':
        await setAsideRecipients(trx, call, outcome);
        return;
      case 'messageRefused':
        await settleCall(trx, call, { ...outcome, outcome: 'not_sent', delayMs: 0 });
        await holdRun(trx, call, refusedMessage(outcome.reason));
        return;
      case 'refused':
        if ((await splitDispatch(trx, call, outcome)) === 'ofTheWholeMessage') {
          await holdRun(trx, call, refusedMessage(outcome.reason));
        }
        return;
      case 'throttled':
      case 'notSent':
        await settleCall(trx, call, {
          outcome: outcome.kind === 'throttled' ? 'throttled' : 'not_sent',
          status: outcome.status,
          reason: waitReasonOf(outcome),
          delayMs: outcome.retryAfterMs,
        });
        return;
      case 'inDoubt':
        await settleCall(trx, call, { ...outcome, outcome: 'in_doubt' });
    }
  });
}

function countOutcome(outcome: EmailOutcome, messages: number, leftOut: number): SentCounts {
  return {
    dispatches: 1,
    leftOut,
    accepted: outcome.kind === 'accepted' ? messages : 0,
    refused: outcome.kind === 'recipientsRefused' ? outcome.messageNs.length : 0,
    inDoubt: outcome.kind === 'inDoubt' ? messages : 0,
  };
}
