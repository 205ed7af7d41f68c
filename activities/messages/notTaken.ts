import type { EmailOutcome } from '../../providers/email/types';
import type { MessageOutcome } from '../../providers/types';

type NotTaken = Extract<EmailOutcome | MessageOutcome, { kind: 'throttled' | 'notSent' }>;

/** A call that was not made: the windows it was counted in were over once the gate had let it through. */
export const missedTurn = {
  kind: 'notSent',
  status: null,
  reason: 'missedTurn',
  retryAfterMs: 0,
} as const satisfies NotTaken;

/** What the message of a call waits for that was not taken, as operators read it. */
export function waitReasonOf(outcome: NotTaken): string {
  if (outcome.kind === 'throttled') {
    return 'providerThrottled';
  }
  return outcome === missedTurn ? missedTurn.reason : 'providerUnreachable';
}
