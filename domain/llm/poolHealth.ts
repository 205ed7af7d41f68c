import {
  isIncident,
  isOver,
  subjectId,
  transition,
  type Health,
  type HealthEvent,
  type HealthSubject,
} from './health';
import { incidentMs, incidentRule } from './healthRules';

/** One subject that changed. */
export interface HealthChange {
  readonly event: HealthEvent;
  readonly subject: HealthSubject;
  readonly from: Health | null;
  readonly to: Health | null;
}

/**
 * Applies what was learned to all that is known of a pool, in place. When more than half of its keys
 * (of two at least) are refused within a minute it may be the platform, and no key is suspended for
 * it until somebody gets through, or none was refused for a minute. Each cools by itself meanwhile,
 * so that those serve that are taken.
 */
export function applyToPool(
  rows: Map<string, Health>,
  event: HealthEvent,
  pool: { keyIds: ReadonlySet<string> },
): HealthChange[] {
  if (!isRefusal(event)) {
    return applyToSubject(rows, event, false);
  }
  const incident = incidentUnderWay(rows, event.at);
  const changes = applyToSubject(rows, event, incident !== null);
  const [key] = changes;
  if (key === undefined) {
    return changes;
  }
  // A key that was refused before says nothing new of the others: else those that are dead would
  // make one incident after the other. It only makes one last.
  const isNews = key.from?.reason !== 'authentication';
  const refused = isNews && incident === null ? refusedAtOnce(rows, event.at, pool.keyIds) : [];
  if (refused.length === 0 && !isEnding(incident, key)) {
    return changes;
  }
  const takenBack = refused
    .filter(({ state }) => state === 'suspended')
    .map((from) => put(rows, event, from, takeBack(from, event.at)));
  const last = rows.get(platformId) ?? null;
  return [...changes, ...takenBack, put(rows, event, last, incidentAfter(incident, event))];
}

type Refusal = Extract<HealthEvent, { type: 'failed' }>;

const platform: HealthSubject = { scope: 'platform', accountId: null, keyId: null, model: null };
const platformId = subjectId(platform);

// As long as keys cool by trials of calls it is made longer each time, and written rarely.
const endingMs = incidentMs * 0.75;
// Whether any key is taken is looked at so often, which costs nothing.
const incidentCheckMs = 15_000;

function isRefusal(event: HealthEvent): event is Refusal {
  return event.type === 'failed' && event.kind === 'authentication';
}

function incidentUnderWay(rows: ReadonlyMap<string, Health>, at: number): Health | null {
  const row = rows.get(platformId);
  return row !== undefined && isIncident(row) && !isOver(row, at) ? row : null;
}

function isEnding(incident: Health | null, { from, event }: HealthChange): boolean {
  return (
    incident !== null && from?.state !== 'suspended' && (incident.until ?? 0) - event.at < endingMs
  );
}

/** The keys that were refused in the last minute, if they are most of them. */
function refusedAtOnce(
  rows: ReadonlyMap<string, Health>,
  at: number,
  keyIds: ReadonlySet<string>,
): Health[] {
  const refused = [...rows.values()].filter(
    ({ subject, reason, since }) =>
      subject.keyId !== null &&
      keyIds.has(subject.keyId) &&
      reason === 'authentication' &&
      since > at - incidentMs,
  );
  return refused.length < 2 || refused.length <= keyIds.size / 2 ? [] : refused;
}

function incidentAfter(incident: Health | null, { at, evidence }: Refusal): Health {
  return {
    subject: platform,
    // Calls go on: it holds no key back that is taken.
    state: 'draining',
    reason: 'authentication',
    until: at + incidentMs,
    nextCheckAt: at + incidentCheckMs,
    failures: (incident?.failures ?? 0) + 1,
    evidence,
    since: incident?.since ?? at,
    updatedAt: at,
  };
}

/** A key that a probe suspended before it was known that the others are refused too. */
function takeBack(health: Health, at: number): Health {
  const until = at + incidentRule.mostMs;
  return { ...health, state: 'cooling', until, nextCheckAt: until, since: at, updatedAt: at };
}

function put(
  rows: Map<string, Health>,
  event: HealthEvent,
  from: Health | null,
  to: Health,
): HealthChange {
  rows.set(subjectId(to.subject), to);
  return { event, subject: to.subject, from, to };
}

function applyToSubject(
  rows: Map<string, Health>,
  event: HealthEvent,
  inIncident: boolean,
): HealthChange[] {
  const { subject } = event;
  const id = subjectId(subject);
  const from = rows.get(id) ?? null;
  const to = transition(from, event, inIncident);
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
