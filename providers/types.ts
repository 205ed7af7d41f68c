/** Which message of which attempt a call is for: what goes to the vendor and comes back with its events. */
export interface MessageReference {
  runId: string;
  messageN: number;
  dispatchN: number;
  attempt: number;
}

/**
 * What a vendor made of a call that carries one message, classified once, where the vendor is known.
 * `inDoubt` is everything that may have been accepted: it is never sent again blindly.
 */
export type MessageOutcome =
  | { kind: 'accepted'; status: number; providerMessageId: string | null }
  /** For good, because of this recipient; `consequence` is what it means for later messages. */
  | {
      kind: 'recipientRefused';
      status: number;
      reason: string;
      consequence: 'suppress' | 'addressInvalid' | 'none';
    }
  /** For good, whoever the recipient is: sender, content, template, credentials. */
  | { kind: 'messageRefused'; status: number; reason: string }
  /** Not taken; the whole account waits. */
  | { kind: 'throttled'; status: number; reason: string; retryAfterMs: number }
  /** Surely not taken, the vendor or the way to it is down. */
  | { kind: 'notSent'; status: number | null; reason: string; retryAfterMs: number }
  | { kind: 'inDoubt'; status: number | null; reason: string };

/** What a vendor knows of a call whose answer was lost. Each vendor says what `notFound` proves. */
export type LookUp =
  | { kind: 'found'; providerMessageId: string }
  | { kind: 'notFound' }
  /** The vendor did not say, or what it said fits more than one call. */
  | { kind: 'unknown'; reason: string };
