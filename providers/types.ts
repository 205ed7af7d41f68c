import type { OptOutWish } from '../domain/messages/optOut';

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
  /** Not taken; the whole account waits. `isGuess`: the vendor did not say for how long. */
  | { kind: 'throttled'; status: number; reason: string; retryAfterMs: number; isGuess?: true }
  /**
   * Surely not taken, the vendor or the way to it is down. `onlyRecipient`: it is too much for this
   * one recipient, and the account may go on with others.
   */
  | {
      kind: 'notSent';
      status: number | null;
      reason: string;
      retryAfterMs: number;
      onlyRecipient?: true;
    }
  | { kind: 'inDoubt'; status: number | null; reason: string };

/** What a vendor knows of a call whose answer was lost. Each vendor says what `notFound` proves. */
export type LookUp =
  | { kind: 'found'; providerMessageId: string }
  | { kind: 'notFound' }
  /** The vendor did not say, or what it said fits more than one call. */
  | { kind: 'unknown'; reason: string };

/** A customer's message to one of our numbers. */
export interface InboundMessage {
  channel: 'sms' | 'whatsapp';
  providerMessageId: string;
  /** The customer, E.164; on channels without numbers whatever the vendor names them by. */
  from: string;
  /** The number of ours that was written to. */
  to: string;
  body: string;
  /** Where each can be loaded from, or the id by which the vendor tells where. */
  media: ({ url: string; type: string } | { id: string; type: string })[];
  /** When the customer wrote; null where the vendor does not say. A delivery may be days late. */
  writtenAt: Date | null;
  /**
   * The vendor may have blocked the number after a stop and have answered it: write the wish down,
   * and answer the webhook with an empty response.
   */
  optOut: OptOutWish | null;
}
