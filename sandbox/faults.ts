import { z } from 'zod';
import { seededRandom, shuffled } from './chance';

const share = z.number().min(0).max(1);
const millis = z.number().int().min(0).max(600_000);
const status = z.number().int().min(400).max(599);

/** What a test may make the sandbox do wrong; everything is off until asked for. */
export const FaultPlan = z.strictObject({
  /** Waits this long before each answer; what is accepted is accepted before the wait. */
  latencyMs: millis.optional(),
  /** Up to so much more, drawn for each call. */
  latencyJitterMs: millis.optional(),
  rate429: share.optional(),
  retryAfterSeconds: z.number().min(0).max(86_400).optional(),
  rate5xx: share.optional(),
  status5xx: z.number().int().min(500).max(599).optional(),
  /** The nasty kind of 5xx: the mail was accepted all the same. */
  acceptOn5xx: z.boolean().optional(),
  /** Accepts, then cuts the connection instead of answering. */
  dropAfterAccept: share.optional(),
  /** Cuts the connection before anything was accepted. */
  dropBeforeAccept: share.optional(),
  /** Answers every call with this refusal. */
  refuse: z
    .strictObject({
      status,
      errors: z.array(
        z.looseObject({ message: z.string(), field: z.string().nullable().optional() }),
      ),
    })
    .optional(),
  /** Refuses requests that name one of these addresses. */
  rejectRecipients: z.array(z.string()).max(10_000).optional(),
  /** Takes the request and never answers. */
  hang: z.boolean().optional(),
  /** The faults of calls apply to the next so many matching calls only. */
  count: z.number().int().min(1).optional(),
  /** The faults of calls apply only where the body holds this text. */
  match: z.string().min(1).optional(),
  eventsDelayMs: millis.optional(),
  eventsDuplicate: share.optional(),
  eventsShuffle: z.boolean().optional(),
  /** Nothing is posted until it is released. */
  eventsHold: z.boolean().optional(),
  /** With a seed the n-th matching call always meets the same fault. */
  seed: z.string().or(z.number()).transform(String).optional(),
});
export type FaultPlan = z.infer<typeof FaultPlan>;

type Refusal = NonNullable<FaultPlan['refuse']>;

/** What happens to one call. */
export interface CallFault {
  latencyMs: number;
  /** The fault by name, as the call log shows it; null when the call is treated well. */
  name:
    | 'hang'
    | 'refuse'
    | 'dropBeforeAccept'
    | 'throttled'
    | 'serverError'
    | 'dropAfterAccept'
    | null;
  refuse?: Refusal;
  retryAfterSeconds?: number;
  status5xx: number;
  acceptOn5xx: boolean;
  rejectRecipients: ReadonlySet<string>;
}

const NO_FAULT: CallFault = {
  latencyMs: 0,
  name: null,
  status5xx: 500,
  acceptOn5xx: false,
  rejectRecipients: new Set(),
};

/** The switchboard: one plan at a time, decided call by call. */
export class Faults {
  private current: FaultPlan = {};
  private active = false;
  private matched = 0;
  private random: () => number = Math.random;
  private rejected: ReadonlySet<string> = new Set();

  get plan(): FaultPlan {
    return this.current;
  }

  replace(plan: FaultPlan): void {
    this.current = plan;
    this.active = Object.keys(plan).length > 0;
    this.matched = 0;
    this.random = plan.seed === undefined ? Math.random : seededRandom(plan.seed);
    this.rejected = new Set((plan.rejectRecipients ?? []).map((address) => address.toLowerCase()));
  }

  clear(): void {
    this.replace({});
  }

  /** Decides for the next call; each call asks exactly once. */
  decide(body: Buffer): CallFault {
    const plan = this.current;
    if (!this.active || (plan.match !== undefined && !body.includes(plan.match))) {
      return NO_FAULT;
    }
    if (plan.count !== undefined && this.matched >= plan.count) {
      return NO_FAULT;
    }
    this.matched += 1;
    // Always the same number of draws, so that a seeded sequence does not depend on which rates are set.
    const [jitter, dropBefore, throttle, serverError, dropAfter] = [
      this.random(),
      this.random(),
      this.random(),
      this.random(),
      this.random(),
    ];
    return {
      latencyMs: Math.round((plan.latencyMs ?? 0) + jitter * (plan.latencyJitterMs ?? 0)),
      name: firstOf([
        ['hang', plan.hang === true],
        ['refuse', plan.refuse !== undefined],
        ['dropBeforeAccept', dropBefore < (plan.dropBeforeAccept ?? 0)],
        ['throttled', throttle < (plan.rate429 ?? 0)],
        ['serverError', serverError < (plan.rate5xx ?? 0)],
        ['dropAfterAccept', dropAfter < (plan.dropAfterAccept ?? 0)],
      ]),
      refuse: plan.refuse,
      retryAfterSeconds: plan.retryAfterSeconds,
      status5xx: plan.status5xx ?? 500,
      acceptOn5xx: plan.acceptOn5xx ?? false,
      rejectRecipients: this.rejected,
    };
  }
}

function firstOf(candidates: [NonNullable<CallFault['name']>, boolean][]): CallFault['name'] {
  return candidates.find(([, happens]) => happens)?.[0] ?? null;
}

/**
 * The events of a post as the faults want them: shuffled, and some of them twice, in the same post
 * (first list) or in one that follows it (second list).
 */
export function disturbEvents<T>(
  events: readonly T[],
  plan: FaultPlan,
  random: () => number,
): [T[], T[]] {
  const main = [...events];
  const repeated: T[] = [];
  for (const event of plan.eventsDuplicate ? events : []) {
    if (random() < (plan.eventsDuplicate ?? 0)) {
      const together = random() < 0.5;
      (together ? main : repeated).push(event);
    }
  }
  return [plan.eventsShuffle ? shuffled(main, random) : main, repeated];
}
