/** A limit as a vendor states it: so many calls or messages in each window of its calendar. */
export interface RateLimit {
  per: 'second' | 'minute' | 'hour' | 'day';
  unit: 'calls' | 'messages';
  most: number;
  /** The zone in which its days and hours begin; UTC when not given. */
  timeZone?: string;
  /** A warm-up: `from` on the day `since`, times `by` each day after, until `most` is reached. */
  growth?: { from: number; by: number; since: string } | null;
}

/** What an operator reads of a limit that makes calls wait: "rateLimit: 6,000 messages a minute". */
export function describeLimit(limit: RateLimit & { isSlowed?: boolean }): string {
  const most = String(limit.most).replace(/\B(?=(\d{3})+$)/g, ',');
  const slowed = limit.isSlowed === true ? ', slowed down after refusals' : '';
  return `rateLimit: ${most} ${limit.unit} ${articleOf[limit.per]} ${limit.per}${slowed}`;
}

const articleOf = { second: 'a', minute: 'a', hour: 'an', day: 'a' } as const;

// A window is filled by calls of a twentieth of it, so that what no call fits into stays small.
const callsAWindow = 20;

/** How many messages one call of an account may hold, for a vendor that takes up to `vendorMost`. */
export function messagesPerCall(limits: readonly RateLimit[], vendorMost: number): number {
  const most = limits
    .filter((limit) => limit.unit === 'messages')
    .map((limit) =>
      Math.ceil(Math.min(limit.most, limit.growth?.from ?? limit.most) / callsAWindow),
    );
  return Math.max(Math.min(vendorMost, ...most), 1);
}

// A lane of single calls holds on to a dispatch for about this long, at the account's pace.
const secondsADispatch = 30;
const leastLaneSize = 32;
// Four blocks of calls: enough that what a claim costs is little, few enough to share among workers.
export const mostLaneSize = 256;

/**
 * How many messages one dispatch of an account holds: one call's, or, where each message is a call,
 * as many as a lane makes in half a minute at the pace of the shortest window.
 */
export function messagesPerDispatch(limits: readonly RateLimit[], vendorMost: number): number {
  if (vendorMost > 1) {
    return messagesPerCall(limits, vendorMost);
  }
  const paces = limits.map(({ per, most }) => (most / secondsIn[per]) * secondsADispatch);
  return Math.max(Math.min(mostLaneSize, ...paces.map(Math.floor)), leastLaneSize);
}

const secondsIn = { second: 1, minute: 60, hour: 3_600, day: 86_400 } as const;
