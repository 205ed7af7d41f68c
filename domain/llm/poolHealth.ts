import {
  isOver,
  subjectId,
  transition,
  type Health,
  type HealthEvent,
  type HealthSubject,
} from './health';
import { incidentMs } from './healthRules';

/** One subject that changed. */
export interface HealthChange {
  readonly event: HealthEvent;
  readonly subject: HealthSubject;
  readonly from: Health | null;
  readonly to: Health | null;
}

/**
 * Applies what was learned to all that is known of a pool, in place. When more than half of its keys
 * (of two at least) are refused within a minute it is the platform: that one cools and the keys are
 * taken back, so that none is suspended for it.
 */
export function applyToPool(
  rows: Map<string, Health>,
  event: HealthEvent,
  pool: { keyIds: ReadonlySet<string> },
): HealthChange[] {
  const isPlatforms = isRefusal(event) && isIncidentUnderWay(rows);
  const heard = isPlatforms ? { ...event, subject: platform } : event;
  const changes = applyToSubject(rows, heard);
  return changes.length > 0 && isRefusal(heard) && !isPlatforms
    ? [...changes, ...incidentAfter(rows, heard, pool.keyIds)]
    : changes;
}

const platform: HealthSubject = { scope: 'platform', accountId: null, keyId: null, model: null };

function incidentAfter(
  rows: Map<string, Health>,
  event: HealthEvent,
  keyIds: ReadonlySet<string>,
): HealthChange[] {
  const refused = [...rows.values()].filter(
    ({ subject, reason, updatedAt }) =>
      subject.keyId !== null &&
      keyIds.has(subject.keyId) &&
      reason === 'authentication' &&
      updatedAt > event.at - incidentMs,
  );
  if (refused.length < 2 || refused.length <= keyIds.size / 2) {
    return [];
  }
  const takenBack = refused.map((from) => {
    rows.delete(subjectId(from.subject));
    return { event, subject: from.subject, from, to: null };
  });
  return [...takenBack, ...applyToSubject(rows, { ...event, subject: platform })];
}

function applyToSubject(rows: Map<string, Health>, event: HealthEvent): HealthChange[] {
  const { subject } = event;
  const id = subjectId(subject);
  const from = rows.get(id) ?? null;
  const to = transition(from, event);
  if (to === 'unchanged' || (from === null && isOneTooMany(rows, subject))) {
    return [];
  }
  if (to === null) {
    rows.delete(id);
  } else {
    rows.set(id, to);
  }
  return [{ event, subject, from, to }];
}

/** Models that were left alone and that nobody asked for since are forgotten after so long. */
const forgottenAfterMs = 60 * 60_000;
/** As many models of a pool can be left alone at a time: callers name them. */
const mostModels = 500;

/** What is to be told of subjects that ended by themselves, or that nobody asks for any more. */
export function endings(rows: Iterable<Health>, now: number): HealthEvent[] {
  return [...rows]
    .filter((health) => isOver(health, now) || isForgotten(health, now))
    .map(({ subject }) => ({
      type: 'recovered',
      subject,
      at: now,
      actor: { kind: 'timer', id: null },
    }));
}

function isForgotten({ subject, until }: Health, now: number): boolean {
  return subject.model !== null && until !== null && until < now - forgottenAfterMs;
}

function isOneTooMany(rows: ReadonlyMap<string, Health>, { model }: HealthSubject): boolean {
  return (
    model !== null &&
    rows.size >= mostModels &&
    [...rows.values()].filter(({ subject }) => subject.model !== null).length >= mostModels
  );
}

function isIncidentUnderWay(rows: ReadonlyMap<string, Health>): boolean {
  return rows.get(subjectId(platform))?.reason === 'authentication';
}

function isRefusal(event: HealthEvent): boolean {
  return event.type === 'failed' && event.kind === 'authentication';
}
