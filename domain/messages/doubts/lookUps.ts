import type { Vendor } from '../accounts/types';

/** When a vendor can be asked for a call in doubt, and what its answer is worth. */
export interface LookUpRule {
  /** Before this nobody asks: events are quicker, and the vendor's lists are behind. */
  firstAfterMs: number;
  /** An account is asked at most once in so long; 0 where nobody counts. */
  spacingMs: number;
  /** So long after the call its absence proves that it was not accepted; null: it never does. */
  absenceProvesAfterMs: number | null;
}

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** By vendor; null where there is nothing to ask. */
export type LookUpRules = Readonly<Record<Vendor, LookUpRule | null>>;

export const lookUpRules: LookUpRules = {
  // The activity feed is behind by minutes, keeps no more than days, and answers six times a minute.
  sendgrid: { firstAfterMs: 2 * minuteMs, spacingMs: 10 * secondMs, absenceProvesAfterMs: null },
  // Messages are listed once they have been sent, and a sender's queue holds them for up to 10 hours.
  twilio: { firstAfterMs: 30 * secondMs, spacingMs: 0, absenceProvesAfterMs: 10.5 * hourMs },
  smtp: null,
  meta: null,
};

const longestPauseMs = 2 * hourMs;

/**
 * When to ask again for a call that was made then, after it has been asked for so many times without
 * an answer: ever more seldom, and at the moment from which absence proves something.
 */
export function nextLookUpAt(
  rule: LookUpRule,
  { calledAt, times, now }: { calledAt: Date; times: number; now: Date },
): Date {
  const pauseMs = Math.min(rule.firstAfterMs * 2 ** Math.min(times, 20), longestPauseMs);
  const nextMs = now.getTime() + pauseMs;
  const provesMs = provesAt(rule, calledAt);
  return new Date(
    provesMs !== null && now.getTime() < provesMs ? Math.min(nextMs, provesMs) : nextMs,
  );
}

/** Whether it proves something now that the vendor knows nothing of the call. */
export function absenceProves(rule: LookUpRule, calledAt: Date, now: Date): boolean {
  const provesMs = provesAt(rule, calledAt);
  return provesMs !== null && now.getTime() >= provesMs;
}

function provesAt({ absenceProvesAfterMs }: LookUpRule, calledAt: Date): number | null {
  return absenceProvesAfterMs === null ? null : calledAt.getTime() + absenceProvesAfterMs;
}
