import type { Knex } from '../../lib/db';
import { withTenantByKey } from '../../models/base';
import { suppressRefused, type BlockOutcome, type LeftBlock } from '../../models/messages/blocks';
import type { Wait } from '../../models/messages/moveOut';
import { settleAccepted, settleCall } from '../../models/messages/settle';
import type { MessageOutcome } from '../../providers/types';
import { waitReasonOf } from './notTaken';

/**
 * What a vendor made of the call for one message. Not the message itself: replies live as long as their
 * block, and its texts with them would be copied by every collection of garbage.
 */
export interface Reply {
  n: number;
  /** Whom it was for. */
  address: string;
  outcome: MessageOutcome;
}

/** What the replies of a block make of its messages. */
export function outcomeOfBlock(replies: readonly Reply[], attempt: number): BlockOutcome {
  const block: BlockOutcome = {
    accepted: [],
    refused: [],
    doubtful: [],
    notSent: [],
  };
  for (const { n, address, outcome } of replies) {
    switch (outcome.kind) {
      case 'accepted':
        block.accepted.push({ n, providerMessageId: outcome.providerMessageId });
        break;
      case 'recipientRefused':
        block.refused.push({
          n,
          status: outcome.status,
          reason: outcome.reason,
          suppress: suppressionOf(address, outcome.consequence),
        });
        break;
      case 'inDoubt':
        block.doubtful.push({ n, status: outcome.status, reason: outcome.reason });
        break;
      case 'messageRefused':
        block.notSent.push({ n, wait: null });
        break;
      case 'throttled':
      case 'notSent':
        if (isGivenUp(outcome, attempt)) {
          block.refused.push({
            n,
            status: outcome.status ?? 0,
            reason: outcome.reason,
            suppress: null,
          });
        } else {
          block.notSent.push({ n, wait: waitFor(outcome) });
        }
    }
  }
  return block;
}

const suppressionReasons = {
  suppress: 'unsubscribed',
  addressInvalid: 'invalid',
  none: null,
} as const;

function suppressionOf(address: string, consequence: keyof typeof suppressionReasons) {
  const reason = suppressionReasons[consequence];
  return reason === null ? null : { address, reason };
}

// Some hours of a mailbox that stays full: who sends mail gives up after days, a campaign sooner.
const mostAttemptsOfRecipient = 15;

function isGivenUp(outcome: NotTaken, attempt: number): boolean {
  return isOfRecipient(outcome) && attempt >= mostAttemptsOfRecipient;
}

type NotTaken = Extract<MessageOutcome, { kind: 'throttled' | 'notSent' }>;

function waitFor(outcome: NotTaken): Wait {
  const reason = isOfRecipient(outcome) ? 'recipientBusy' : waitReasonOf(outcome);
  return { delayMs: outcome.retryAfterMs, reason };
}

function isOfRecipient(outcome: NotTaken): boolean {
  return outcome.kind === 'notSent' && outcome.onlyRecipient === true;
}

/** How many of an account's calls are refused for now, as one process sees it. */
export interface Pressure {
  /** Takes up what these replies say; answers how long the whole account waits, if it has to. */
  waitAfter(replies: readonly Reply[]): Wait | null;
}

// About the last twenty calls count.
const newest = 0.05;

/**
 * The account waits as long as any reply asks. Where the vendor names no time, as mail servers never
 * do, it waits the less the more of its calls are taken: a server that refuses some of them wants
 * fewer at a time, not none.
 */
export function createPressure(): Pressure {
  let share = 0;
  return {
    waitAfter(replies) {
      for (const { outcome } of replies) {
        share += newest * ((outcome.kind === 'throttled' ? 1 : 0) - share);
      }
      const waits = replies.flatMap(({ outcome }) => {
        const isNotTaken = outcome.kind === 'throttled' || outcome.kind === 'notSent';
        if (!isNotTaken || outcome.retryAfterMs === 0 || isOfRecipient(outcome)) {
          return [];
        }
        const wait = waitFor(outcome);
        const isGuess = outcome.kind === 'throttled' && outcome.isGuess === true;
        return [isGuess ? { ...wait, delayMs: wait.delayMs * share ** 2 } : wait];
      });
      return waits.toSorted((a, b) => b.delayMs - a.delayMs)[0] ?? null;
    },
  };
}

/** A dispatch of one message is settled as a whole, as any call is. */
export async function settleAlone(
  db: Knex,
  block: LeftBlock,
  reply: Reply | undefined,
): Promise<void> {
  if (reply === undefined) {
    return;
  }
  const { outcome } = reply;
  if (outcome.kind === 'accepted') {
    await settleAccepted(db, block, outcome);
    return;
  }
  await withTenantByKey(db, block.tenantId, async (trx) => {
    switch (outcome.kind) {
      case 'recipientRefused':
        await settleCall(trx, block, { ...outcome, outcome: 'refused' });
        await suppressRefused(trx, block, [suppressionOf(reply.address, outcome.consequence)]);
        return;
      case 'messageRefused':
        await settleCall(trx, block, { ...outcome, outcome: 'not_sent', delayMs: 0 });
        return;
      case 'throttled':
      case 'notSent':
        if (isGivenUp(outcome, block.attempt)) {
          await settleCall(trx, block, { ...outcome, outcome: 'refused' });
          return;
        }
        await settleCall(trx, block, {
          outcome: outcome.kind === 'throttled' ? 'throttled' : 'not_sent',
          status: outcome.status,
          ...waitFor(outcome),
        });
        return;
      case 'inDoubt':
        await settleCall(trx, block, { ...outcome, outcome: 'in_doubt' });
    }
  });
}
