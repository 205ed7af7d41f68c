import { chanceOf } from '../chance';
import type { EngagementRates } from '../options';

/** Something that happens to a message, `delayMs` after its acceptance. */
export interface Step {
  kind:
    | 'processed'
    | 'delivered'
    | 'deferred'
    | 'dropped'
    | 'bounced'
    | 'blocked'
    | 'open'
    | 'machineOpen'
    | 'click'
    | 'complaint'
    | 'unsubscribe';
  delayMs: number;
}

type StepKind = Step['kind'];

const DEFERRAL_MS = 1_000;
// People who open at all do so in a few groups, so that a thousand openings are a handful of posts.
const READING_DELAYS_MS = [3_000, 8_000, 20_000, 45_000, 90_000, 180_000];
const CLICK_AFTER_OPEN_MS = 2_000;

const PATTERNS: Record<string, Step[]> = {
  bounce: [{ kind: 'bounced', delayMs: 0 }],
  block: [{ kind: 'blocked', delayMs: 0 }],
  drop: [{ kind: 'dropped', delayMs: 0 }],
  defer: [
    { kind: 'deferred', delayMs: 0 },
    { kind: 'delivered', delayMs: DEFERRAL_MS },
  ],
  open: atOnce('delivered', 'open'),
  machineopen: atOnce('delivered', 'machineOpen'),
  click: atOnce('delivered', 'open', 'click'),
  complain: atOnce('delivered', 'complaint'),
  unsub: atOnce('delivered', 'unsubscribe'),
};

/**
 * What happens to a message to this address. Words of its local part, set off by `+` or `.`, decide
 * (`ana+bounce@…`); without one the engagement rates do, always the same way for a seed and address.
 */
export function behaviourOf(
  address: string,
  audience: { seed: string; engagement: EngagementRates | null },
): Step[] {
  const words = address.slice(0, address.lastIndexOf('@')).toLowerCase().split(/[+.]/);
  const word = words.find((candidate) => Object.hasOwn(PATTERNS, candidate));
  const later = (word !== undefined && PATTERNS[word]) || null;
  return [
    { kind: 'processed', delayMs: 0 },
    ...(later ??
      (audience.engagement
        ? drawn(address, audience.seed, audience.engagement)
        : atOnce('delivered'))),
  ];
}

/** The one word for where a message ended, for people. */
export function outcomeOf(steps: readonly Step[]): string {
  const last = steps.findLast(({ kind }) => kind in OUTCOMES);
  return (last && OUTCOMES[last.kind]) ?? 'delivered';
}

const OUTCOMES: Partial<Record<StepKind, string>> = {
  delivered: 'delivered',
  dropped: 'dropped',
  bounced: 'bounced',
  blocked: 'blocked',
};

function drawn(address: string, seed: string, rates: EngagementRates): Step[] {
  const chance = (of: string) => chanceOf(`${seed}/${of}/${address.toLowerCase()}`);
  const fate = chance('fate');
  if (fate < rates.bounceRate) {
    return atOnce('bounced');
  }
  if (fate < rates.bounceRate + rates.blockRate) {
    return atOnce('blocked');
  }
  const readAt = READING_DELAYS_MS[Math.floor(chance('delay') * READING_DELAYS_MS.length)] ?? 0;
  const steps = atOnce('delivered');
  if (chance('machine') < rates.machineOpenRate) {
    steps.push({ kind: 'machineOpen', delayMs: 1_000 });
  }
  const interest = chance('interest');
  if (interest < Math.max(rates.openRate, rates.clickRate)) {
    steps.push({ kind: 'open', delayMs: readAt });
  }
  if (interest < rates.clickRate) {
    steps.push({ kind: 'click', delayMs: readAt + CLICK_AFTER_OPEN_MS });
  }
  const displeasure = chance('displeasure');
  if (displeasure < rates.complaintRate) {
    steps.push({ kind: 'complaint', delayMs: readAt + CLICK_AFTER_OPEN_MS });
  } else if (displeasure < rates.complaintRate + rates.unsubscribeRate) {
    steps.push({ kind: 'unsubscribe', delayMs: readAt + CLICK_AFTER_OPEN_MS });
  }
  return steps;
}

function atOnce(...kinds: StepKind[]): Step[] {
  return kinds.map((kind) => ({ kind, delayMs: 0 }));
}
