import { isbot } from 'isbot';
import {
  appleMailPrivacy,
  gmailPrefetch,
  imageProxies,
  mailPrograms,
  scannerAgents,
} from './agents';
import type { NetworkUse } from './networks';

/**
 * Who opened or clicked. `human`: a person. `machine`: a program of the person's own mail, ahead of
 * them (Apple Mail Privacy Protection, a prefetch). `bot`: somebody else's program (a security
 * scanner, a link checker, a script).
 */
export const engagementClasses = ['human', 'machine', 'bot'] as const;
export type EngagementClass = (typeof engagementClasses)[number];

/** One request for a pixel or a link, and what is known around it. */
export interface Engagement {
  kind: 'opened' | 'clicked';
  method: string;
  userAgent: string;
  /** The headers in which programs say that they fetch ahead: Sec-Purpose, Purpose, X-Purpose, X-Moz. */
  purposes: readonly string[];
  network: NetworkUse | null;
  /** Since the call that carried the message, or its delivery if that is later; null when unknown. */
  sinceHandoverMs: number | null;
  /** A provider that tracks by itself told that it was a machine (`sg_machine_open`). */
  isMachineByProvider: boolean;
}

/** The class with the rule that decided it, for whoever asks why. */
export interface Verdict {
  class: EngagementClass;
  because: keyof typeof verdicts;
}

/** Nobody opens a mail sooner than this after it was handed over, unless a program does. */
export const soonestOpenMs = 2_000;

/** And nobody has read it and chosen a link sooner than this. */
export const soonestClickMs = 5_000;

/**
 * Clicks on different links of one message that lie this close together are a program that walks
 * through them: a person's first click takes them away from the mail.
 */
export const burstMs = 1_000;

const verdicts = {
  otherMethod: 'bot',
  manyLinks: 'bot',
  providerSays: 'machine',
  prefetch: 'machine',
  applePrivacy: 'machine',
  gmailPrefetch: 'machine',
  noAgent: 'bot',
  scannerNetwork: 'bot',
  knownBot: 'bot',
  openedTooSoon: 'machine',
  clickedTooSoon: 'bot',
  imageProxy: 'human',
  person: 'human',
} as const satisfies Record<string, EngagementClass>;

// The first rule that holds decides; the surest come first.
const rules: readonly [keyof typeof verdicts, (engagement: Engagement) => boolean][] = [
  ['otherMethod', ({ method }) => method !== 'GET'],
  ['providerSays', ({ isMachineByProvider }) => isMachineByProvider],
  ['prefetch', ({ purposes }) => purposes.some((purpose) => aheadOfPerson.test(purpose))],
  ['applePrivacy', ({ kind, userAgent }) => kind === 'opened' && userAgent === appleMailPrivacy],
  ['gmailPrefetch', ({ userAgent }) => userAgent === gmailPrefetch],
  ['noAgent', ({ userAgent }) => userAgent.trim() === ''],
  // Web mail loads images for people from the networks that look behind links; it follows no link.
  [
    'scannerNetwork',
    ({ kind, network }) => network === 'scanner' || (network === 'mailHost' && kind === 'clicked'),
  ],
  ['knownBot', isKnownBot],
  ['openedTooSoon', (engagement) => isTooSoon(engagement, 'opened', soonestOpenMs)],
  ['clickedTooSoon', (engagement) => isTooSoon(engagement, 'clicked', soonestClickMs)],
  // Gmail's proxy asks when the mail is shown to its reader: what it fetches ahead of them has a
  // name of its own or comes right at the delivery, and both were taken out above.
  ['imageProxy', ({ kind, userAgent }) => kind === 'opened' && isOneOf(imageProxies, userAgent)],
];

/** Who it was, as far as one request tells. */
export function classify(engagement: Engagement): Verdict {
  const [because = 'person' as const] = rules.find(([, holds]) => holds(engagement)) ?? [];
  return verdictOf(because);
}

/** The verdict of a rule that other facts than one request decide. */
export function verdictOf(because: Verdict['because']): Verdict {
  return { class: verdicts[because], because };
}

// Safari's and Apple Mail's previews, browsers' prefetching and prerendering.
const aheadOfPerson = /\b(prefetch|prerender|preview)\b/i;

function isKnownBot({ kind, userAgent }: Engagement): boolean {
  if (isOneOf(scannerAgents, userAgent)) {
    return true;
  }
  const isReader =
    kind === 'opened' && (isOneOf(imageProxies, userAgent) || isOneOf(mailPrograms, userAgent));
  return !isReader && isbot(userAgent);
}

function isTooSoon(
  { kind, network, sinceHandoverMs }: Engagement,
  wanted: Engagement['kind'],
  soonestMs: number,
): boolean {
  // The sandbox's people, on this machine, act at once.
  return (
    kind === wanted &&
    network !== 'ownMachine' &&
    sinceHandoverMs !== null &&
    sinceHandoverMs < soonestMs
  );
}

function isOneOf(patterns: readonly RegExp[], text: string): boolean {
  return patterns.some((pattern) => pattern.test(text));
}
