import type { LlmFailure } from '../failures';
import { evidenceOf, freeClass, isIncident, subjectId, subjectIn, subjectOf } from '../health';
import type { Health, HealthAskedAbout, HealthEvent, HealthSubject } from '../health';
import type { HealthScope } from '../types';
import { nextLimitReset } from './limitReset';

/** What a probe asks about, and with which key. */
export interface ProbeQuestion {
  keyId: string;
  /** Null: a figure that is looked at from time to time. */
  scope: HealthScope | null;
  model: string | null;
  /** Before this a success is no proof: only that the key itself is good. */
  coolsUntil?: string | null;
  /** Somebody waits: that it is as it was is not written down each time. */
  isUrgent?: boolean;
}

type Asked = ProbeQuestion & AskedOfAccount;

interface AskedOfAccount {
  accountId: string;
  /** How it stood when it was asked about: null is well. */
  about?: AskedRow | null;
  /** How often it came to that lately: what comes back and fails again rests longer. */
  rounds?: number;
  /** The incident that was under way then. */
  incident?: HealthAskedAbout;
}

type AskedRow = HealthAskedAbout & Partial<Pick<Health, 'until' | 'evidence'>>;

/** What the vendor's page of a key says of its limit. */
interface KeyPage {
  readonly limitRemainingMicros: number | null;
  readonly limitReset: 'daily' | 'weekly' | 'monthly' | null;
}

const creditsAgainMs = 5 * 60_000;
const limitAgainMs = 30 * 60_000;

const actor = { kind: 'probe', id: null } as const;

/** What the vendor's page of a key tells, asked at an instant. */
export function learnedFromPage(order: Asked, page: KeyPage, sentAt: number): HealthEvent[] {
  const { incident: about } = order;
  // Its vendor takes keys: those that it refuses are refused for what they are.
  const subject = subjectIn('platform', { ...order, model: '' });
  const ended = { type: 'recovered', subject, actor, at: sentAt } as const;
  const incident = about === undefined ? [] : [{ ...ended, about }];
  return [...incident, ...learnedOfKey(order, page, sentAt)];
}

function learnedOfKey(order: Asked, page: KeyPage, sentAt: number): HealthEvent[] {
  const { limitReset } = page;
  const key = subjectIn('key', { ...order, model: '' });
  if (isSpent(page)) {
    const resetsAt = limitReset === null ? null : nextLimitReset(limitReset, sentAt);
    // Somebody may raise the limit before.
    const nextCheckAt = Math.min(resetsAt ?? Infinity, sentAt + limitAgainMs);
    const checked = { type: 'checked', subject: key, actor, at: sentAt, nextCheckAt } as const;
    const { about } = order;
    const leftMicros = page.limitRemainingMicros ?? 0;
    const isKnown = order.scope === 'key' && (about === undefined || about?.reason === 'keyLimit');
    return [
      ...(isKnown ? [] : [spent(key, 'keyLimit', { at: sentAt, resetsAt, leftMicros })]),
      { ...checked, until: resetsAt, evidence: { leftMicros }, ...(isKnown ? ofAbout(order) : {}) },
    ];
  }
  const coolsUntil = Date.parse(order.coolsUntil ?? '');
  if (sentAt < coolsUntil) {
    const evidence = { verify: false };
    const nextCheckAt = coolsUntil;
    const about = ofAbout(order);
    return [{ type: 'checked', subject: key, actor, at: sentAt, nextCheckAt, evidence, ...about }];
  }
  const { about } = order;
  const isElsewhere = order.scope === 'key' && about != null && !pageReasons.has(about.reason);
  if (order.scope === null || isElsewhere) {
    return [];
  }
  const { limitRemainingMicros: leftMicros } = page;
  const isOfLimit = about?.reason === 'keyLimit' && leftMicros !== null;
  return [isOfLimit ? ofRemainder(key, order, { leftMicros, sentAt }) : wellSince(order, sentAt)];
}

// All there is to know of these is on the page of the key, or in the balance of the account.
const pageReasons: ReadonlySet<string> = new Set(['authentication', 'keyLimit']);
const balanceReasons: ReadonlySet<string> = new Set(['credits', 'tokenLimit']);

/** What a question was about, among all that is not well when it is asked. */
export function askedAbout(
  question: Pick<Asked, 'accountId' | 'scope'> & Partial<Pick<Asked, 'keyId' | 'model'>>,
  known: readonly Health[],
): { about?: Health | null; incident?: HealthAskedAbout } {
  const { accountId, scope, keyId = '', model } = question;
  const asked = subjectIn(scope ?? 'key', { accountId, keyId, model: model ?? '' });
  const row = known.find(({ subject }) => subjectId(subject) === subjectId(asked));
  const incident = known.find(isIncident);
  return {
    ...(scope === null ? {} : { about: row ?? null }),
    ...(incident === undefined ? {} : { incident: asSeen(incident) }),
  };
}

function asSeen({ reason, since }: HealthAskedAbout): HealthAskedAbout {
  return { reason, since };
}

/** What an account's balance tells. */
export function learnedFromBalance(
  order: AskedOfAccount & { scope: HealthScope | null },
  { leftMicros, sentAt }: { leftMicros: number; sentAt: number },
): HealthEvent[] {
  const isOut = leftMicros <= 0;
  const { scope, accountId } = order;
  const subject = subjectIn('account', { accountId, keyId: '', model: '' });
  if (scope === null) {
    return isOut ? [spent(subject, 'credits', { at: sentAt, resetsAt: null, leftMicros })] : [];
  }
  if (order.about != null && !balanceReasons.has(order.about.reason)) {
    return [];
  }
  return [ofRemainder(subject, order, { leftMicros, sentAt })];
}

/** What a failure tells of whoever it is about, which need not be what was asked about. */
export function learnedFromFailure(
  order: Asked,
  { model, failure, at }: { model: string; failure: LlmFailure; at: number },
): HealthEvent[] {
  const asked = order.scope === null ? null : subjectAsked(order);
  const about = subjectOf(failure, { ...order, model });
  const isAsked = about !== null && asked !== null && subjectId(about) === subjectId(asked);
  const events: HealthEvent[] = [];
  // The page of a key tells nothing of any model, and nobody asked about one that was only at hand.
  const isOfNone = about !== null && about.model !== null && about.model !== order.model;
  if (about !== null && !isOfNone && !(isAsked && order.isUrgent === true)) {
    const { kind, retryAfterMs, resetsAt } = failure;
    const evidence = evidenceOf(failure);
    events.push({
      type: 'failed',
      subject: about,
      actor,
      at,
      kind,
      retryAfterMs,
      resetsAt,
      evidence,
    });
  }
  if (asked === null || isAsked) {
    return events;
  }
  if (isPast(failure, asked.scope)) {
    return [...events, recovered(asked, order, at)];
  }
  const isBreakers = asked.scope === 'model' || asked.scope === 'platform';
  if (about === null && isBreakers) {
    const evidence = evidenceOf(failure);
    return [{ type: 'tripped', subject: asked, actor, at, kind: failure.kind, evidence }];
  }
  return events;
}

/** Whether nothing is left of its limit. */
export function isSpent({ limitRemainingMicros }: Pick<KeyPage, 'limitRemainingMicros'>): boolean {
  return limitRemainingMicros !== null && limitRemainingMicros <= 0;
}

/** What a call that succeeded tells of what was asked about. */
export function wellSince(order: Asked, sentAt: number): HealthEvent {
  const nextCheckAt = restEndsAt(order);
  const subject = subjectAsked(order);
  return sentAt < nextCheckAt
    ? { type: 'checked', subject, actor, at: sentAt, nextCheckAt, ...ofAbout(order) }
    : recovered(subject, order, sentAt);
}

/** Of these a page or a token tells less than the next call does: it may be refused again. */
export const remainderReasons: ReadonlySet<string> = new Set(['keyLimit', 'credits', 'tokenLimit']);

// After the first, second, … time within a while.
const restsMs = [0, 5 * 60_000, 30 * 60_000] as const;
// A cent: with less than that hardly a call is let in.
const worthwhileMicros = 10_000;

function restEndsAt({ about, rounds = 1 }: AskedOfAccount): number {
  const rest = restsMs[Math.min(rounds, restsMs.length) - 1] ?? 0;
  return about != null && remainderReasons.has(about.reason) ? about.since + rest : 0;
}

// A little that is left was left when the vendor refused a call, unless it is more than then.
function ofRemainder(
  subject: HealthSubject,
  order: AskedOfAccount,
  { leftMicros, sentAt }: { leftMicros: number; sentAt: number },
): HealthEvent {
  const before = order.about?.evidence?.['leftMicros'];
  const hasGrown = typeof before === 'number' && leftMicros > before;
  const isWorthIt = leftMicros > 0 && (leftMicros >= worthwhileMicros || hasGrown);
  const restsUntil = restEndsAt(order);
  if (isWorthIt && restsUntil <= sentAt) {
    return recovered(subject, order, sentAt);
  }
  return {
    type: 'checked',
    subject,
    actor,
    at: sentAt,
    nextCheckAt: isWorthIt ? restsUntil : sentAt + creditsAgainMs,
    evidence: { leftMicros: typeof before === 'number' ? before : leftMicros },
    ...ofAbout(order),
  };
}

/** Whether it was refused for the model alone, with which nobody was asked to ask: another may do. */
export function isOfModelAtHand(
  { kind }: Pick<LlmFailure, 'kind'>,
  asked: Pick<ProbeQuestion, 'model'>,
): boolean {
  const isAtHand = asked.model === null || asked.model === freeClass;
  return isAtHand && (kind === 'modelUnavailable' || kind === 'notPermitted');
}

/**
 * What a good page of a key tells where no model is known to ask for: that whatever was to end by now
 * may be tried by whoever comes next.
 */
export function learnedWithoutModel(order: Asked, page: KeyPage, sentAt: number): HealthEvent[] {
  const isOver = order.about != null && (order.about.until ?? 0) <= sentAt;
  if (isSpent(page)) {
    return learnedFromPage(order, page, sentAt);
  }
  return isOver && order.isUrgent !== true ? [wellSince(order, sentAt)] : [];
}

// It was let in, and failed behind what was asked about.
function isPast({ kind, scope }: LlmFailure, asked: HealthScope): boolean {
  if (asked === 'platform') {
    return false;
  }
  return (
    scope === 'request' ||
    kind === 'emptyAnswer' ||
    (scope === 'model' && kind === 'upstreamRateLimit' && asked !== 'model')
  );
}

function recovered(subject: HealthSubject, order: AskedOfAccount, at: number): HealthEvent {
  return { type: 'recovered', subject, actor, at, ...ofAbout(order) };
}

function ofAbout({ about }: AskedOfAccount): { about?: HealthAskedAbout | null } {
  if (about === undefined) {
    return {};
  }
  return { about: about === null ? null : asSeen(about) };
}

function spent(
  subject: HealthSubject,
  kind: 'keyLimit' | 'credits',
  { at, resetsAt, leftMicros }: { at: number; resetsAt: number | null; leftMicros: number },
): HealthEvent {
  const evidence = { resetsAt, leftMicros };
  return { type: 'failed', subject, actor, at, kind, retryAfterMs: null, resetsAt, evidence };
}

function subjectAsked(order: Asked): HealthSubject {
  return subjectIn(order.scope ?? 'key', { ...order, model: order.model ?? '' });
}
