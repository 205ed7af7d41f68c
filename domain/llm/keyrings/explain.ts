import type { FailureKind } from '../failures';
import type { HealthScope } from '../types';
import { instantWords, spanWords } from './words';
import type { EvidenceSeen, HealthSeen, KeyringSeen, KeySeen, TransitionSeen } from './types';

/** All that a key can be to whoever asks, the worst first. */
export const shownStates = [
  'suspended',
  'cooling',
  'paused',
  'draining',
  'expired',
  'revoked',
  'active',
] as const;

export type ShownState = (typeof shownStates)[number];

/** How a key stands, and why, for programs and in words. */
export interface KeyExplained {
  keyId: string;
  label: string;
  state: ShownState;
  /** What holds it: the key itself, its account, the platform; null where a person's word or nothing does. */
  scope: HealthScope | null;
  /** A kind of failure, or what a person wrote. */
  reason: string | null;
  until: string | null;
  nextCheckAt: string | null;
  /** In one sentence. */
  text: string;
  /** The parts of it, for tables. */
  because: string;
  before: string;
}

/** Explains one key; null where the account has no such key. */
export function explainKey(seen: KeyringSeen, keyId: string, nowMs: number): KeyExplained | null {
  const key = seen.keys.find(({ id }) => id === keyId);
  return key === undefined ? null : explain(seen, key, nowMs);
}

/** Explains every key, in their order. */
export function explainKeys(seen: KeyringSeen, nowMs: number): KeyExplained[] {
  return seen.keys.map((key) => explain(seen, key, nowMs));
}

/** The worst state among the keys that may serve again: what an operator should see first. */
export function worstState(explained: readonly KeyExplained[]): ShownState {
  const kept = explained.filter(({ state }) => state !== 'revoked' && state !== 'expired');
  return shownStates.find((state) => kept.some((key) => key.state === state)) ?? 'active';
}

function explain(seen: KeyringSeen, key: KeySeen, nowMs: number): KeyExplained {
  const { id: keyId, label } = key;
  const word = wordOf(seen, key);
  if (word !== null) {
    return { keyId, label, scope: null, nextCheckAt: null, before: '', ...word };
  }
  if (key.expiresAt !== null && Date.parse(key.expiresAt) <= nowMs) {
    const because = `its own end was ${instantWords(key.expiresAt, nowMs)}`;
    const text = `Key ${label} has expired: ${because}.`;
    const none = { scope: null, reason: null, until: null, nextCheckAt: null, before: '' };
    return { keyId, label, state: 'expired', ...none, because, text };
  }
  const health = worstHealth(healthOfKey(seen, keyId));
  const drained = key.standing === 'draining' || seen.account.standing === 'draining';
  if (health === null || (drained && health.state === 'draining')) {
    return drained ? drainingByWord(seen, key, nowMs) : well(seen, key, nowMs);
  }
  return unwell(seen, key, health, nowMs);
}

// A person's word comes before what calls showed: it holds until a person takes it back.
function wordOf({ account }: KeyringSeen, key: KeySeen) {
  for (const state of ['revoked', 'paused'] as const) {
    const said = [key, account].find(({ standing }) => standing === state);
    if (said !== undefined) {
      const of = said === key ? '' : ` with its account ${account.name}`;
      const because = `${byWhom(said.standingBy)}${reasonGiven(said.standingReason)}`;
      const text = `Key ${key.label} is ${state}${of} ${because}.`;
      return { state, reason: said.standingReason, until: null, because, text };
    }
  }
  return null;
}

function drainingByWord(seen: KeyringSeen, key: KeySeen, nowMs: number): KeyExplained {
  const said = key.standing === 'draining' ? key : seen.account;
  const instead = key.replacedBy === null ? undefined : labelOf(seen, key.replacedBy);
  const because =
    `${byWhom(said.standingBy)} since ${instantWords(said.standingAt, nowMs)}` +
    reasonGiven(said.standingReason) +
    (instead === undefined ? '' : `; ${instead} came in its place`);
  return {
    ...subject(key),
    state: 'draining',
    scope: null,
    reason: said.standingReason,
    until: null,
    nextCheckAt: null,
    because,
    before: '',
    text: `Key ${key.label} is draining ${because}: it ends what it began and begins nothing new.`,
  };
}

function well(seen: KeyringSeen, key: KeySeen, nowMs: number): KeyExplained {
  const last = failuresOf(seen, key.id)[0];
  const before = last === undefined ? '' : `last ${stateWords(last, nowMs)}`;
  return {
    ...subject(key),
    state: 'active',
    scope: null,
    reason: null,
    until: null,
    nextCheckAt: null,
    because: '',
    before,
    text: `Key ${key.label} is active${before === '' ? '' : `; ${before}`}.`,
  };
}

function unwell(seen: KeyringSeen, key: KeySeen, health: HealthSeen, nowMs: number): KeyExplained {
  const because = becauseOf(health);
  const before = beforeIt(seen, key.id, health, nowMs);
  const isOver = health.until !== null && Date.parse(health.until) <= nowMs;
  const instant = health.until === null ? '' : instantWords(health.until, nowMs);
  const until = isOver || instant === '' ? '' : ` until ${instant}`;
  const over = isOver ? `; that was until ${instant}, so the next call or probe tries it` : '';
  const next =
    health.nextCheckAt === null || health.state === 'cooling'
      ? ''
      : `; next look at ${instantWords(health.nextCheckAt, nowMs)}`;
  const of = health.scope === 'account' ? ` with its account ${seen.account.name}` : '';
  return {
    ...subject(key),
    state: health.state,
    scope: health.scope,
    reason: health.reason,
    until: health.until,
    nextCheckAt: health.nextCheckAt,
    because,
    before,
    text: `Key ${key.label} is ${health.state}${of}${until} because ${because}${before === '' ? '' : `; before it ${before}`}${over}${next}.`,
  };
}

/** What holds a key back: its own rows, its account's and the platform's, not those of one model. */
export function healthOfKey({ health }: KeyringSeen, keyId: string): HealthSeen[] {
  return health.filter(
    ({ scope, keyId: of }) => of === keyId || scope === 'account' || scope === 'platform',
  );
}

function worstHealth(rows: readonly HealthSeen[]): HealthSeen | null {
  const byState = (state: HealthSeen['state']) =>
    rows
      .filter((row) => row.state === state)
      .toSorted((a, b) => (b.until ?? '9999').localeCompare(a.until ?? '9999'))[0];
  return byState('suspended') ?? byState('cooling') ?? byState('draining') ?? null;
}

/** "429, the vendor limits the account (X-RateLimit-Reset)". */
export function becauseOf({
  reason,
  evidence,
}: {
  reason: string | null;
  evidence: EvidenceSeen;
}): string {
  const words = reason === null ? 'of nothing known' : reasonWordsOf(reason);
  const status = evidence.status == null ? '' : `${evidence.status}, `;
  return `${status}${words}${toldBy(reason, evidence)}`;
}

function toldBy(reason: string | null, { resetsAt, retryAfterMs }: EvidenceSeen): string {
  if (resetsAt != null) {
    return reason === 'platformRateLimit'
      ? ' (X-RateLimit-Reset)'
      : ' (its vendor said until when)';
  }
  return retryAfterMs == null ? '' : ` (Retry-After of ${spanWords(retryAfterMs)})`;
}

/** A kind of failure in words that follow "because". */
export function reasonWordsOf(reason: string): string {
  return Object.entries(reasonWords).find(([kind]) => kind === reason)?.[1] ?? reason;
}

const reasonWords: Partial<Record<FailureKind, string>> = {
  authentication: 'the vendor does not take the key',
  keyLimit: 'the key’s own limit is spent',
  budgetSpent: 'the budget of the key or its workspace is spent',
  credits: 'the account is out of credit',
  inFlightBudget: 'too much is under way for the balance',
  exceedsBalance: 'a request asked for more than is left',
  tokenLimit: 'little is left of the balance',
  platformRateLimit: 'the vendor limits the account',
  notPermitted: 'the account may not use the model',
  modelUnavailable: 'nobody serves the model',
  upstreamRateLimit: 'the model’s provider limits it',
  timeout: 'the vendor did not answer in time',
  serverError: 'the vendor failed',
  firstTokenTimeout: 'no token came in time',
  emptyAnswer: 'answers said nothing',
  brokenAnswer: 'answers broke off',
  edgeRateLimit: 'the vendor’s edge limits us',
  unreachable: 'the vendor cannot be reached',
};

// Of this key or its account, the newest first, without the one that holds now.
function beforeIt(seen: KeyringSeen, keyId: string, health: HealthSeen, nowMs: number): string {
  const earlier = failuresOf(seen, keyId).filter(({ at }) => at < health.since);
  const inARow = health.failures > 1 ? `${health.failures - 1} in a row just before` : '';
  const [oldest] = earlier.toReversed();
  if (oldest === undefined) {
    return inARow;
  }
  const counted = new Map<string, number>();
  for (const { reason } of earlier) {
    const name = reason === null ? 'unknown' : reasonWordsOf(reason);
    counted.set(name, (counted.get(name) ?? 0) + 1);
  }
  const kinds = [...counted].map(([name, times]) => `${times} × ${name}`).join(', ');
  const since = `since ${instantWords(oldest.at, nowMs)}`;
  return [inARow, `${kinds} ${since}`].filter((part) => part !== '').join(', and ');
}

function failuresOf({ transitions }: KeyringSeen, keyId: string): TransitionSeen[] {
  return transitions.filter(
    ({ scope, keyId: of, toState }) =>
      (of === keyId || scope === 'account') && (toState === 'cooling' || toState === 'suspended'),
  );
}

function stateWords(transition: TransitionSeen, nowMs: number): string {
  return `${transition.toState} at ${instantWords(transition.at, nowMs)} because ${becauseOf(transition)}`;
}

function subject({ id, label }: KeySeen) {
  return { keyId: id, label };
}

function labelOf({ keys }: KeyringSeen, keyId: string): string {
  return keys.find(({ id }) => id === keyId)?.label ?? keyId;
}

/** Who said it: people are told by their ids. */
export function byWhom(userId: string | null): string {
  return userId === null ? 'by an operator' : `by user ${userId}`;
}

function reasonGiven(reason: string | null): string {
  return reason === null ? '' : ` ("${reason}")`;
}
