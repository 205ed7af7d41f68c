import type { EventKind } from '../../domain/messages/events';

interface StatusMeaning {
  /** Callbacks come in any order: a status counts only when its rank is above the one known. */
  rank: number;
  /** What it tells of the message; whatever it tells, it proves that the call was accepted. */
  kind: EventKind;
}

/** The statuses of an outbound message, from the vendor's first to its last. */
export const statuses: Readonly<Record<string, StatusMeaning>> = {
  scheduled: { rank: 0, kind: 'processed' },
  accepted: { rank: 0, kind: 'processed' },
  queued: { rank: 1, kind: 'processed' },
  sending: { rank: 2, kind: 'processed' },
  sent: { rank: 3, kind: 'processed' },
  // Some of its parts: nobody could read it whole.
  partially_delivered: { rank: 4, kind: 'processed' },
  canceled: { rank: 5, kind: 'dropped' },
  failed: { rank: 5, kind: 'dropped' },
  undelivered: { rank: 5, kind: 'bounced' },
  // A receipt that says it arrived is right whatever was assumed before.
  delivered: { rank: 6, kind: 'delivered' },
  read: { rank: 7, kind: 'opened' },
};

/** What a status means; null for one that is not of an outbound message, or new. */
export function statusMeaning(status: string): StatusMeaning | null {
  return Object.hasOwn(statuses, status) ? (statuses[status] ?? null) : null;
}

/** Whether a status tells more than the one known; states never move backwards. */
export function isLaterStatus(status: string, known: string | null): boolean {
  const rank = statusMeaning(status)?.rank ?? -1;
  return rank > (known === null ? -1 : (statusMeaning(known)?.rank ?? -1));
}
