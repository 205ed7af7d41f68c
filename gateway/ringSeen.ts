import type { FailureKind, LlmFailure } from '../domain/llm/failures';
import {
  evidenceOf,
  isHalfOpen,
  isIncident,
  subjectIn,
  subjectOf,
  type Health,
  type HealthEvent,
  type HealthEvidence,
} from '../domain/llm/health';
import { callRules } from '../domain/llm/healthRules';
import type { RingKeyCell, RingPool } from './ringPool';
import type { AttemptSeen } from './types';

const byCall = { kind: 'call', id: null } as const;

// One address that could not be reached may be one connection; as many in a row are none.
const unreachedInRow = 3;
const unreachedWithinMs = 10_000;

/**
 * What an attempt showed of a key, its account and its model: counts it for the breakers, and answers
 * with what is to be applied to their health.
 */
export function learnFrom(
  pool: RingPool,
  key: RingKeyCell,
  { key: { isTrial }, model, failure, totalMs }: AttemptSeen,
  now: number,
): HealthEvent[] {
  const call = { accountId: key.account.id, keyId: key.id, model };
  const way = [...key.health, ...pool.onTheWay(key.account, model)];
  const tried = isTrial ? way.filter((health) => isHalfOpen(health, now)) : [];
  if (failure === null) {
    return succeeded(pool, key, { model, tried, way, beganAt: now - totalMs }, now);
  }
  if (failure.kind !== 'unreachable' && failure.status !== null) {
    pool.unreached.delete(key.account.stored.baseUrl);
  }
  if (callRules[failure.kind] === 'soft') {
    return failure.kind === 'unreachable'
      ? unreached(pool, key, { call, tried, failure }, now)
      : failedSoftly(pool, key, { call, tried, failure }, now);
  }
  const subject = subjectOf(failure, call);
  if (subject === null) {
    return [];
  }
  const { kind, retryAfterMs, resetsAt } = failure;
  const evidence = evidenceOf(failure);
  return [
    { type: 'failed', subject, at: now, actor: byCall, kind, retryAfterMs, resetsAt, evidence },
  ];
}

interface Success {
  model: string;
  tried: readonly Health[];
  way: readonly Health[];
  beganAt: number;
}

function succeeded(
  pool: RingPool,
  key: RingKeyCell,
  { model, tried, way, beganAt }: Success,
  now: number,
): HealthEvent[] {
  for (const flow of [pool.flow, key.account.flow, key.flow]) {
    flow.succeeded();
  }
  key.noteSoft(false, now);
  pool.unreached.delete(key.account.stored.baseUrl);
  pool.breakers.note({ model, keyId: key.id, failure: null, now, usableKeys: () => 0 });
  // Where anything answers the address is not gone, whichever process thought so; and where a key is
  // let in, which a call that began before was earlier, the others are refused for what they are.
  const wrong = way.filter(
    (health) =>
      !tried.includes(health) &&
      (health.reason === 'unreachable' || (isIncident(health) && beganAt >= health.since)),
  );
  return [...tried, ...wrong].map(({ subject }) => ({
    type: 'recovered',
    subject,
    at: now,
    actor: byCall,
  }));
}

interface SoftFailure {
  call: { accountId: string; keyId: string; model: string };
  tried: readonly Health[];
  failure: LlmFailure;
}

function failedSoftly(
  pool: RingPool,
  key: RingKeyCell,
  { call, tried, failure }: SoftFailure,
  now: number,
): HealthEvent[] {
  const { kind } = failure;
  key.noteSoft(true, now);
  const tripped = pool.breakers.note({
    model: call.model,
    keyId: key.id,
    failure: kind,
    now,
    usableKeys: () => countUsable(pool, call.model),
  });
  const evidence = evidenceOf(failure);
  const events = tried.filter(isAnswered).map(({ subject }) => trip(subject, kind, evidence, now));
  if (tripped === null) {
    return events;
  }
  const opened = subjectIn(tripped.what, call);
  return [...events, trip(opened, kind, { ...evidence, before: tripped.before }, now)];
}

// A trial that fails otherwise than what it tries did says nothing of it: the next one will.
function isAnswered({ subject, reason }: Health): boolean {
  return subject.scope === 'model' || (subject.scope === 'key' && isSoft(reason));
}

function isSoft(reason: string): boolean {
  return Object.entries(callRules).some(([kind, rule]) => kind === reason && rule === 'soft');
}

function unreached(
  pool: RingPool,
  key: RingKeyCell,
  { tried, failure }: SoftFailure,
  now: number,
): HealthEvent[] {
  const { baseUrl } = key.account.stored;
  const known = pool.unreached.get(baseUrl);
  const row =
    known === undefined || known.since < now - unreachedWithinMs
      ? { failures: 1, since: now }
      : { failures: known.failures + 1, since: known.since };
  pool.unreached.set(baseUrl, row);
  const isTrial = tried.some(({ reason }) => reason === 'unreachable');
  if (row.failures < unreachedInRow && !isTrial) {
    return [];
  }
  pool.unreached.delete(baseUrl);
  const evidence = { ...evidenceOf(failure), before: { unreachable: row.failures } };
  const accounts = [...pool.accounts.values()];
  const gone = accounts.filter((account) => account.stored.baseUrl === baseUrl);
  if (gone.length === accounts.length) {
    const subject = subjectIn('platform', { accountId: '', keyId: '', model: '' });
    return [trip(subject, 'unreachable', evidence, now)];
  }
  return gone.map(({ id }) =>
    trip(
      subjectIn('account', { accountId: id, keyId: '', model: '' }),
      'unreachable',
      evidence,
      now,
    ),
  );
}

function trip(
  subject: HealthEvent['subject'],
  kind: FailureKind,
  evidence: HealthEvidence,
  at: number,
): HealthEvent {
  return { type: 'tripped', subject, kind, at, actor: byCall, evidence };
}

/** How many keys serve a model when nothing is wrong with it. */
function countUsable(pool: RingPool, model: string): number {
  let count = 0;
  for (const key of pool.keys.values()) {
    const isStanding = key.stored.standing === 'active' && key.account.stored.standing === 'active';
    const isBenched = key.health.some(({ state }) => state !== 'draining');
    count += isStanding && !isBenched && key.allows(model) ? 1 : 0;
  }
  return count;
}
