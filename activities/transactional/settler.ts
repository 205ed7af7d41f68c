import type { Knex } from '../../lib/db';
import { blockAccount, slowDown } from '../../models/messages/accountPace';
import type { PassedMessage } from '../../models/transactional/gate';
import { settleCalls, type SettledCall } from '../../models/transactional/settle';
import type { MessageOutcome } from '../../providers/types';
import { waitReasonOf } from '../messages/notTaken';
import { outlastOutage } from '../messages/outlastOutage';

/** A call that was made, and what came of it. */
export interface MadeCall {
  message: PassedMessage;
  accountId: string;
  outcome: MessageOutcome;
}

/** Settles calls as their replies come in. */
export interface Settler {
  /** Resolves when the call is settled. */
  settle(call: MadeCall): Promise<void>;
}

/**
 * While one statement settles some calls, the replies that come in meanwhile gather for the next one:
 * a single message is settled at once, and many do not wait for a statement each.
 */
export function createSettler(db: Knex, signal: AbortSignal): Settler {
  let gathered: { call: MadeCall; done: () => void; fail: (error: unknown) => void }[] = [];
  let isBusy = false;
  return {
    settle(call) {
      return new Promise((resolve, reject) => {
        gathered.push({ call, done: resolve, fail: reject });
        if (!isBusy) {
          void settleGathered();
        }
      });
    },
  };

  async function settleGathered(): Promise<void> {
    isBusy = true;
    while (gathered.length > 0) {
      const batch = gathered;
      gathered = [];
      try {
        const calls = batch.map(({ call }) => call);
        await outlastOutage(signal, () => settleCalls(db, calls.map(settled)));
        await tellAccounts(db, calls);
        batch.forEach(({ done }) => done());
      } catch (error) {
        batch.forEach(({ fail }) => fail(error));
      }
    }
    isBusy = false;
  }
}

function settled({ message, outcome }: MadeCall): SettledCall {
  return {
    tenantId: message.tenantId,
    runId: message.runId,
    n: message.n,
    attempt: message.attempt,
    outcome: ledgerOutcomes[outcome.kind],
    status: outcome.status,
    reason: 'reason' in outcome ? outcome.reason : null,
    providerMessageId: 'providerMessageId' in outcome ? outcome.providerMessageId : null,
    delayMs: 'retryAfterMs' in outcome ? outcome.retryAfterMs : 0,
    suppress:
      outcome.kind === 'recipientRefused' && outcome.consequence !== 'none'
        ? { address: message.address, reason: suppressions[outcome.consequence] }
        : null,
  };
}

const ledgerOutcomes = {
  accepted: 'accepted',
  recipientRefused: 'refused',
  messageRefused: 'refused',
  throttled: 'throttled',
  notSent: 'not_sent',
  inDoubt: 'in_doubt',
} as const;

const suppressions = { suppress: 'unsubscribed', addressInvalid: 'invalid' } as const;

/** A refusal for now is of the whole account; those of one burst say it once. */
async function tellAccounts(db: Knex, calls: readonly MadeCall[]): Promise<void> {
  const blocks = new Map<string, { forMs: number; reason: string }>();
  const throttled = new Set<string>();
  for (const { accountId, outcome } of calls) {
    if (outcome.kind === 'throttled') {
      throttled.add(accountId);
    }
    const isOfAccount = 'retryAfterMs' in outcome && !('onlyRecipient' in outcome);
    if (isOfAccount && outcome.retryAfterMs > (blocks.get(accountId)?.forMs ?? 0)) {
      blocks.set(accountId, { forMs: outcome.retryAfterMs, reason: waitReasonOf(outcome) });
    }
  }
  for (const [accountId, block] of blocks) {
    await blockAccount(db, accountId, block);
  }
  for (const accountId of throttled) {
    await slowDown(db, accountId);
  }
}
