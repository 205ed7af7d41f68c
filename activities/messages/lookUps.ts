import {
  absenceProves,
  lookUpRules,
  nextLookUpAt,
  type LookUpRule,
} from '../../domain/messages/doubts/lookUps';
import { isDatabaseUnavailable } from '../../lib/databaseErrors';
import { withTenant } from '../../models/base';
import { accountOf } from '../../models/campaigns/accountOf';
import { getRun } from '../../models/campaigns/runs';
import {
  claimLookUps,
  nextLookUpDue,
  noteLookUps,
  takeLookUpTurn,
  type CallToLookUp,
} from '../../models/messages/doubtsLookUp';
import { settleDoubts } from '../../models/messages/doubtsSettle';
import type { LookUp } from '../../providers/types';
import type { RunRef } from '../campaigns/runs';
import type { ActivityDeps } from '../deps';
import type { AccountSender } from './accountSenders';
import { createAskForMessages, type AskForMessages } from './lookUpMessages';
import { waitMs } from './wait';

/** What the vendor was asked; the numbers are calls. */
export interface LookUpCounts {
  asked: number;
  /** Accepted: the vendor has their messages. */
  found: number;
  /** Surely never accepted, and planned once more. */
  notSent: number;
}

// Whoever waits for it stays quick to be cancelled.
const roundMs = 10_000;
const mostAtOnce = 8;

/**
 * Makes the function that asks the vendor of a run for its calls in doubt that are due, settles what
 * the answers prove and counts it. It answers when to ask again; null when there is nobody to ask, or
 * nothing to ask for.
 */
export function createLookUps(
  deps: ActivityDeps,
): (run: RunRef, counts: LookUpCounts, signal: AbortSignal) => Promise<Date | null> {
  const askForMessages = createAskForMessages(deps);
  return async (run, counts, signal) => {
    const vendor = await openVendor(deps, askForMessages, run);
    if (vendor === null) {
      return null;
    }
    const turnAt = await askRound(deps, { run, vendor, counts, signal });
    const dueAt = await withTenant(deps.db, run.tenantId, (trx) =>
      nextLookUpDue(trx, run, vendor.rule),
    );
    return dueAt === null ? null : new Date(Math.max(dueAt.getTime(), turnAt?.getTime() ?? 0));
  };
}

/** Somebody who can be asked for a run's calls. */
interface AskableVendor {
  accountId: string;
  rule: LookUpRule;
  ask(calls: readonly CallToLookUp[]): Promise<LookUp[]>;
}

/** Null when the vendor cannot be asked: it has nothing to look in, or its account cannot be opened. */
async function openVendor(
  deps: ActivityDeps,
  askForMessages: AskForMessages,
  { tenantId, runId }: RunRef,
): Promise<AskableVendor | null> {
  try {
    const accountId = await withTenant(deps.db, tenantId, (trx) => accountOf(trx, tenantId, runId));
    const sender = await deps.senders.of(tenantId, accountId);
    const rule = (deps.lookUpRules ?? lookUpRules)[sender.vendor];
    const ask = asking(askForMessages, { tenantId, runId }, sender);
    return rule === null || ask === null ? null : { accountId, rule, ask };
  } catch (error) {
    if (isDatabaseUnavailable(error)) {
      throw error;
    }
    // Doubts wait for events and their deadline then, as they do where there are no look-ups.
    deps.logger.warn({ err: error, runId }, 'the vendor cannot be asked for calls in doubt');
    return null;
  }
}

function asking(
  askForMessages: AskForMessages,
  run: RunRef,
  { accountId, lookUp, lookUpBatch }: AccountSender,
): AskableVendor['ask'] | null {
  if (lookUpBatch !== undefined) {
    return (calls) =>
      Promise.all(
        calls.map(({ n, attempt }) => lookUpBatch({ runId: run.runId, dispatchN: n, attempt })),
      );
  }
  return lookUp === undefined ? null : (calls) => askForMessages(run, { accountId, lookUp }, calls);
}

/** Asks until nothing is due or the round is over; answers when it is the account's turn again. */
async function askRound(
  deps: ActivityDeps,
  round: { run: RunRef; vendor: AskableVendor; counts: LookUpCounts; signal: AbortSignal },
): Promise<Date | null> {
  const { run, vendor, counts, signal } = round;
  const { rule, accountId } = vendor;
  const endsAtMs = Date.now() + roundMs;
  while (Date.now() < endsAtMs && !signal.aborted) {
    if (rule.spacingMs > 0) {
      const dueAt = await withTenant(deps.db, run.tenantId, (trx) => nextLookUpDue(trx, run, rule));
      if (dueAt === null || dueAt.getTime() > Date.now()) {
        return null;
      }
      const turnAt = await takeLookUpTurn(deps.db, accountId, rule.spacingMs);
      if (turnAt !== null && turnAt.getTime() >= endsAtMs) {
        return turnAt;
      }
      if (turnAt !== null) {
        await waitMs(Math.max(turnAt.getTime() - Date.now(), 20), signal);
        continue;
      }
    }
    const calls = await withTenant(deps.db, run.tenantId, (trx) =>
      claimLookUps(trx, run, { rule, limit: rule.spacingMs > 0 ? 1 : mostAtOnce }),
    );
    if (calls.length === 0) {
      return null;
    }
    const answers = await vendor.ask(calls);
    const settled = await settle(deps, run, rule, { calls, answers });
    counts.asked += calls.length;
    counts.found += settled.found;
    counts.notSent += settled.notSent;
  }
  return null;
}

/** Writes the answers down, and what they prove. */
async function settle(
  deps: ActivityDeps,
  { tenantId, runId }: RunRef,
  rule: LookUpRule,
  { calls, answers }: { calls: readonly CallToLookUp[]; answers: readonly LookUp[] },
): Promise<{ found: number; notSent: number }> {
  const now = new Date();
  const pairs = calls.flatMap((call, index) => {
    const answer = answers[index];
    return answer === undefined ? [] : [{ call, answer }];
  });
  const found = pairs.flatMap(({ call, answer }) =>
    answer.kind === 'found'
      ? [{ ...keyOf(call), providerMessageId: answer.providerMessageId }]
      : [],
  );
  const absent = pairs
    .filter(
      ({ call, answer }) => answer.kind === 'notFound' && absenceProves(rule, call.calledAt, now),
    )
    .map(({ call }) => keyOf(call));
  return withTenant(deps.db, tenantId, async (trx) => {
    const { schedule } = await getRun(trx, tenantId, runId);
    const run = { tenantId, runId, windowMinutes: schedule.windowMinutes ?? 60 };
    const by = { provenBy: 'lookUp' } as const;
    const accepted = await settleDoubts(trx, run, {
      ...by,
      as: 'accepted',
      which: { calls: found },
    });
    const notSent = await settleDoubts(trx, run, {
      ...by,
      as: 'notSent',
      which: { calls: absent },
    });
    await noteLookUps(
      trx,
      run,
      pairs.map(({ call, answer }) => ({
        ...call,
        answer: answer.kind,
        reason: answer.kind === 'unknown' ? answer.reason : null,
        nextAt: nextLookUpAt(rule, { ...call, now }),
      })),
    );
    return { found: accepted.dispatchNs.length, notSent: notSent.dispatchNs.length };
  });
}

function keyOf({ n, attempt }: CallToLookUp): { dispatchN: number; attempt: number } {
  return { dispatchN: n, attempt };
}
