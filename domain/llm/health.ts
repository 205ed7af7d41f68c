import type { FailureKind, LlmFailure } from './failures';
import { breakerRules, callRules, incidentRule, probeRules } from './healthRules';
import type { HealthRule } from './healthRules';
import type { HealthScope, HealthState } from './types';

/** What health is of. Ids that its scope does not have are null. */
export interface HealthSubject {
  readonly scope: HealthScope;
  readonly accountId: string | null;
  readonly keyId: string | null;
  /** Of `accountModel` it may be `:free`, for all models whose names end so. */
  readonly model: string | null;
}

/** What was seen that led to a state, for people. Nothing of a prompt or a key. */
export interface HealthEvidence {
  readonly status?: number | null;
  readonly code?: string | null;
  readonly message?: string;
  readonly retryAfterMs?: number | null;
  readonly resetsAt?: number | null;
  /** Whether the vendor is still to be asked about the key itself. */
  readonly verify?: boolean;
  /** Soft failures before it, by kind. */
  readonly before?: Readonly<Record<string, number>>;
  readonly [more: string]: unknown;
}

/** How a subject stands that is not well. Times in ms since the epoch. */
export interface Health {
  readonly subject: HealthSubject;
  readonly state: HealthState;
  /** A failure's kind. */
  readonly reason: string;
  /** Cooling: from then on one call at a time tries it. Suspended: when the vendor says it comes back. */
  readonly until: number | null;
  readonly nextCheckAt: number | null;
  readonly failures: number;
  readonly evidence: HealthEvidence;
  readonly since: number;
  readonly updatedAt: number;
}

export interface HealthActor {
  readonly kind: 'call' | 'probe' | 'timer' | 'user' | 'system';
  readonly id: string | null;
}

/** As whoever asked about a subject knew it when they asked. */
export type HealthAskedAbout = Pick<Health, 'reason' | 'since'>;

/** How whoever learned it knows its subject since, which others may not yet. */
export type KnownHealth = Pick<Health, 'until' | 'failures'>;

/** Something that was learned about a subject. */
export type HealthEvent = {
  readonly subject: HealthSubject;
  readonly at: number;
  readonly actor: HealthActor;
} & (
  | {
      /** A call failed; or a probe did, which proves more. */
      readonly type: 'failed';
      readonly kind: FailureKind;
      readonly retryAfterMs: number | null;
      readonly resetsAt: number | null;
      readonly known?: KnownHealth;
      readonly evidence: HealthEvidence;
    }
  | {
      /** A breaker opened, or a trial of what it guards failed. */
      readonly type: 'tripped';
      readonly kind: FailureKind;
      readonly known?: KnownHealth;
      readonly evidence: HealthEvidence;
    }
  | {
      /** A trial or a probe succeeded, or a person says so. */
      readonly type: 'recovered';
      /** What it answers to, null where it was well: whatever it has become since stays. */
      readonly about?: HealthAskedAbout | null;
    }
  | {
      /** Somebody looked and the state stays: when to look again, and what was learned. */
      readonly type: 'checked';
      readonly nextCheckAt: number | null;
      readonly until?: number | null;
      readonly evidence?: HealthEvidence;
      readonly about?: HealthAskedAbout | null;
    }
);

type Worsening = Extract<HealthEvent, { type: 'failed' | 'tripped' }>;

const ranks: Record<HealthState, number> = { draining: 0, cooling: 1, suspended: 2 };

// A vendor that names a later time means something else: no limit of theirs is longer than a month.
const longestMs = 32 * 24 * 60 * 60_000;
// Calls that were under way together are told times that differ by as much.
const sameMs = 250;

/** The free models of an account share a limit. */
export const freeClass = ':free';

/** Two subjects are the same when these are. */
export function subjectId({ scope, accountId, keyId, model }: HealthSubject): string {
  return `${scope} ${accountId ?? ''} ${keyId ?? ''} ${model ?? ''}`;
}

/** Whose health a failed call may change; null where it is nobody's. */
export function subjectOf(
  failure: Pick<LlmFailure, 'kind' | 'isFreeClass'>,
  call: { accountId: string; keyId: string; model: string },
): HealthSubject | null {
  const rule = callRules[failure.kind];
  if (rule === null || rule === 'soft') {
    return null;
  }
  return failure.kind === 'platformRateLimit' && failure.isFreeClass
    ? subjectIn('accountModel', { ...call, model: freeClass })
    : subjectIn(rule.of, call);
}

/** The subject of a scope on a call's way. */
export function subjectIn(
  scope: HealthScope,
  { accountId, keyId, model }: { accountId: string; keyId: string; model: string },
): HealthSubject {
  switch (scope) {
    case 'key':
      return { scope, accountId, keyId, model: null };
    case 'account':
      return { scope, accountId, keyId: null, model: null };
    case 'accountModel':
      return { scope, accountId, keyId: null, model };
    case 'model':
      return { scope, accountId: null, keyId: null, model };
    case 'platform':
      return { scope, accountId: null, keyId: null, model: null };
  }
}

/** What a failed call tells of its subject. */
export function evidenceOf(failure: LlmFailure): HealthEvidence {
  const { status, vendorCode, message, retryAfterMs, resetsAt } = failure;
  return { status, code: vendorCode, message, retryAfterMs, resetsAt };
}

/** Whether one call at a time may find out if it is well again. */
export function isHalfOpen(health: Health, now: number): boolean {
  return health.state === 'cooling' && (health.until ?? 0) <= now;
}

/** Whether it says that most keys of a pool were refused at once. */
export function isIncident({ subject, reason }: Health): boolean {
  return subject.scope === 'platform' && reason === 'authentication';
}

/** Whether it has ended by itself. */
export function isOver(health: Health, now: number): boolean {
  return health.state === 'draining' && health.until !== null && health.until <= now;
}

/**
 * How a subject stands after something was learned: null is well. It never forgets a longer time for a
 * shorter one, and what calls show never lifts a suspension. In an incident no key is suspended for
 * being refused.
 */
export function transition(
  current: Health | null,
  event: HealthEvent,
  inIncident = false,
): Health | null | 'unchanged' {
  switch (event.type) {
    case 'recovered':
      return current !== null && isLifted(current, event) ? null : 'unchanged';
    case 'checked':
      return current !== null && isAbout(current, event) ? checked(current, event) : 'unchanged';
    case 'tripped':
      return event.subject.scope === 'accountModel'
        ? 'unchanged'
        : worsened(current, event, breakerRules[event.subject.scope]);
    case 'failed': {
      const rule = ruleOf(current, event, inIncident);
      return rule === null ? 'unchanged' : worsened(current, event, rule);
    }
  }
}

function isLifted(current: Health, event: Extract<HealthEvent, { type: 'recovered' }>): boolean {
  // What was learned after that success counts for more.
  const isLater = current.updatedAt > event.at;
  // A call that got through was let in before, or by another way: only who asks about it can tell.
  const isBeyond =
    event.actor.kind === 'call' && current.state !== 'cooling' && !isIncident(current);
  return !isLater && !isBeyond && isAbout(current, event);
}

function isAbout(
  { reason, since }: Health,
  { about }: { readonly about?: HealthAskedAbout | null },
): boolean {
  return about === undefined || (about?.reason === reason && about.since === since);
}

function ruleOf(
  current: Health | null,
  event: Extract<HealthEvent, { type: 'failed' }>,
  inIncident: boolean,
): HealthRule | null {
  const isSuspended = current?.state === 'suspended';
  if (event.kind === 'authentication' && inIncident && !isSuspended) {
    return incidentRule;
  }
  // The first refusal that a probe meets is one as a call meets it: it is asked about once more.
  const isAgain = isSuspended || (current?.state === 'cooling' && current.reason === event.kind);
  const probed = event.actor.kind === 'probe' && isAgain ? probeRules[event.kind] : undefined;
  const rule = probed ?? callRules[event.kind];
  return rule === 'soft' ? null : rule;
}

function worsened(last: Health | null, event: Worsening, rule: HealthRule): Health | 'unchanged' {
  const { at, kind, subject } = event;
  const current = last === null || isOver(last, at) ? null : last;
  const isTried = current !== null && isHalfOpen(current, at);
  if (current !== null && ranks[rule.state] < ranks[current.state] && !isTried) {
    return 'unchanged';
  }
  const isSame = current?.state === rule.state;
  // Calls that were under way when it began to cool say nothing new: a trial or a probe does.
  const isNews = isTried || event.actor.kind === 'probe';
  const counted = isSame ? current.failures + (isNews ? 1 : 0) : 1;
  const failures = Math.max(counted, event.known?.failures ?? 1);
  const named = vendorsTime(event, rule);
  if (
    isSame &&
    current.reason === kind &&
    !isNews &&
    (named ?? 0) <= (current.until ?? 0) + sameMs
  ) {
    return 'unchanged';
  }
  const own =
    rule.firstMs === null
      ? null
      : at + Math.min(rule.mostMs, rule.firstMs * rule.growth ** (failures - 1));
  const until = latest(isSame ? current.until : null, named ?? own, event.known?.until ?? null);
  const checkMs = rule.checksMs[Math.min(failures, rule.checksMs.length) - 1];
  return {
    subject,
    state: rule.state,
    reason: kind,
    until,
    nextCheckAt: checkMs === undefined ? (until ?? at + fallbackCheckMs) : at + checkMs,
    failures,
    evidence: {
      ...event.evidence,
      ...(kind === 'authentication' && rule.state === 'cooling' && subject.scope === 'key'
        ? { verify: true }
        : {}),
    },
    since: isSame && current.reason === kind ? current.since : at,
    updatedAt: at,
  };
}

// Suspended without a time that anybody named.
const fallbackCheckMs = 5 * 60_000;

function checked(current: Health, event: Extract<HealthEvent, { type: 'checked' }>): Health {
  return {
    ...current,
    until: latest(current.until, event.until ?? null),
    nextCheckAt: event.nextCheckAt,
    evidence: { ...current.evidence, ...event.evidence },
  };
}

function vendorsTime(event: Worsening, rule: HealthRule): number | null {
  if (event.type !== 'failed' || !rule.isVendorHeard) {
    return null;
  }
  const { at, retryAfterMs, resetsAt } = event;
  const named = latest(resetsAt, retryAfterMs === null ? null : at + retryAfterMs);
  return named === null || named <= at ? null : Math.min(named, at + longestMs);
}

function latest(...times: (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.max(...known);
}
