import { seededRandom, shuffled } from '../../sandbox/chance';

export type Victim = 'worker' | 'api' | 'temporal' | 'postgres';

/** One `kill -9`: due once this share of the customers has been reached, and a little later. */
export interface Kill {
  victim: Victim;
  /** Which of several, counted on over the workers there are. */
  index: number;
  atShare: number;
  afterMs: number;
}

/** What the provider does wrong, by name. */
export const faultNames = ['drop', '429', '5xx', 'events'] as const;
export type FaultName = (typeof faultNames)[number];

// The last tenth is left alone, so that every kill meets a campaign that is being sent.
const [firstShare, lastShare] = [0.01, 0.9];
const longestDelayMs = 1_000;

/** The same kills for the same seed: spread over the campaign, in an order drawn from the seed. */
export function planKills(options: {
  seed: string;
  workers: number;
  others: Exclude<Victim, 'worker'>[];
}): Kill[] {
  const random = seededRandom(`${options.seed}/kills`);
  const victims = shuffled(
    [...Array.from({ length: options.workers }, () => 'worker' as const), ...options.others],
    random,
  );
  const step = (lastShare - firstShare) / victims.length;
  return victims.map((victim, place) => ({
    victim,
    index: Math.floor(random() * 1_000),
    atShare: firstShare + (place + random()) * step,
    afterMs: Math.round(random() * longestDelayMs),
  }));
}

/** The sandbox's fault plan for these faults; slow enough in any case that kills meet calls under way. */
export function faultPlan(
  seed: string,
  faults: readonly FaultName[],
  { eventsLateMs = 1_000 }: { eventsLateMs?: number } = {},
): Record<string, unknown> {
  const has = (name: FaultName) => faults.includes(name);
  return {
    seed,
    latencyMs: 300,
    latencyJitterMs: 600,
    ...(has('drop') ? { dropAfterAccept: 0.05 } : {}),
    ...(has('429') ? { rate429: 0.3, retryAfterSeconds: 0.2 } : {}),
    ...(has('5xx') ? { rate5xx: 0.05 } : {}),
    ...(has('events')
      ? { eventsDelayMs: eventsLateMs, eventsDuplicate: 0.2, eventsShuffle: true }
      : {}),
  };
}
