import type { HealthScope } from '../types';
import { subjectWords, whyOf } from './jobWords';
import type { KeyringRules } from './rules';
import type { HealthSeen, KeyringSeen, KeySeen } from './types';
import { instantWords } from './words';

/** One thing that a keyring does to find out how something stands, or because its time has come. */
export interface KeyringJob {
  kind: 'verifyKey' | 'pollAccount' | 'probeCapacity' | 'revokeReplaced';
  /** Another one as soon as what it answers to has changed. */
  id: string;
  dueAtMs: number;
  /** With which key it asks. */
  keyId: string | null;
  /** What it asks about; null: a figure that is looked at from time to time. */
  scope: HealthScope | null;
  model: string | null;
  /** Before this a success proves only that the key itself is good. */
  coolsUntil: string | null;
  /** Somebody waits for it. */
  isUrgent: boolean;
  /** For the timer that waits for it and the activity that does it. */
  why: string;
}

/** What a keyring remembers beside the records. */
export interface KeyringMemory {
  /** Until when somebody is taken to wait for a key of a pool that has none. */
  wantedUntilMs: number;
  /** When jobs were done last and how often, by id: what changes nothing is done ever more rarely. */
  done: Record<string, { atMs: number; times: number }>;
}

const urgentPausesMs = [2_000, 4_000, 8_000, 15_000] as const;

/** What jobs are found by. */
export interface Ground {
  seen: KeyringSeen;
  /** Those that may be asked with at all. */
  keys: KeySeen[];
  memory: KeyringMemory;
  nowMs: number;
  rules: KeyringRules;
}

/** Everything there is to do, in no order. */
export function keyringJobs(ground: Ground): KeyringJob[] {
  return [
    ...ground.keys.flatMap((key) => ofReplaced(ground, key)),
    ...ground.seen.health.flatMap((row) => ofHealth(ground, row)),
    ...ofRegularPolls(ground),
    ...ofWaiting(ground),
  ];
}

function ofReplaced({ seen, rules }: Ground, key: KeySeen): KeyringJob[] {
  // One that turned out to be no good replaces nothing: the old one goes on.
  if (key.standing !== 'draining' || key.replacedBy === null || !isGood(seen, key.replacedBy)) {
    return [];
  }
  return [
    {
      kind: 'revokeReplaced',
      id: `revoke/${key.id}/${key.standingAt}`,
      dueAtMs: Date.parse(key.standingAt) + rules.drainMs,
      keyId: key.id,
      scope: null,
      model: null,
      coolsUntil: null,
      isUrgent: false,
      why: `Key ${key.label} ends what it began, then it is revoked: another one came in its place`,
    },
  ];
}

/** Whether a key serves, or will when its account does. */
export function isGood({ keys, health }: KeyringSeen, keyId: string): boolean {
  const standing = keys.find(({ id }) => id === keyId)?.standing;
  return standing === 'active' && !health.some((row) => row.keyId === keyId);
}

function ofHealth(ground: Ground, row: HealthSeen): KeyringJob[] {
  switch (row.scope) {
    case 'key':
      return ofKey(ground, row);
    case 'account':
      return ofAccount(ground, row);
    case 'accountModel':
      return capacityProbe(ground, row, ground.rules.graceMs);
    case 'model':
      return ground.seen.isFirstOfPool ? capacityProbe(ground, row, ground.rules.modelGraceMs) : [];
    case 'platform':
      return ground.seen.isFirstOfPool ? platformProbe(ground, row) : [];
  }
}

function ofKey(ground: Ground, row: HealthSeen): KeyringJob[] {
  const key = ground.keys.find(({ id }) => id === row.keyId);
  if (key === undefined) {
    return [];
  }
  // Its vendor's page of the key is free, and says all there is to know of these two.
  const isOnItsPage = row.reason === 'authentication' || row.reason === 'keyLimit';
  return isOnItsPage
    ? [verification(ground, row, key)]
    : capacityProbe(ground, row, ground.rules.graceMs);
}

function verification(ground: Ground, row: HealthSeen, key: KeySeen): KeyringJob {
  return {
    kind: 'verifyKey',
    id: jobId('verify', row),
    dueAtMs: againAt(ground, row),
    keyId: key.id,
    scope: row.scope,
    model: null,
    coolsUntil: row.reason === 'authentication' && row.state === 'cooling' ? row.until : null,
    isUrgent: false,
    why: whyOf(ground, row, subjectWords(ground, row)),
  };
}

function ofAccount(ground: Ground, row: HealthSeen): KeyringJob[] {
  const isOfBalance = row.reason === 'credits' || row.reason === 'tokenLimit';
  if (!isOfBalance || !ground.seen.account.hasManagementKey) {
    return capacityProbe(ground, row, ground.rules.graceMs);
  }
  const id = jobId('credits', row);
  const polls = ground.memory.done[id]?.times ?? 0;
  return [
    // The management key may be refused, or its page be gone: nothing else would end the wait.
    ...(polls > ground.rules.mostBalancesUnread
      ? capacityProbe(ground, row, ground.rules.graceMs)
      : []),
    {
      kind: 'pollAccount',
      id,
      dueAtMs: againAt(ground, row),
      keyId: null,
      scope: row.scope,
      model: null,
      coolsUntil: null,
      isUrgent: false,
      why: whyOf(ground, row, `Account ${ground.seen.account.name}`),
    },
  ];
}

function capacityProbe(ground: Ground, row: HealthSeen, graceMs: number): KeyringJob[] {
  const key = probeKey(ground, row);
  if (key === null) {
    return [];
  }
  return [
    {
      kind: 'probeCapacity',
      id: jobId('probe', row),
      dueAtMs: againAt(ground, row, graceMs),
      keyId: key.id,
      scope: row.scope,
      model: row.model,
      coolsUntil: null,
      isUrgent: false,
      why: whyOf(ground, row, subjectWords(ground, row)),
    },
  ];
}

// The page of any key shows whether the vendor is there, and takes keys.
function platformProbe(ground: Ground, row: HealthSeen): KeyringJob[] {
  const key = probeKey(ground, row);
  return key === null ? [] : [verification(ground, row, key)];
}

function ofRegularPolls({ seen, keys, nowMs, rules }: Ground): KeyringJob[] {
  const unwell = new Set(seen.health.map(({ keyId }) => keyId));
  const limits = keys
    .filter(({ id }) => !unwell.has(id))
    .map((key) => ({
      kind: 'verifyKey' as const,
      id: `limits/${key.id}/${key.limitsAt}`,
      dueAtMs: key.limitsAt === null ? nowMs : Date.parse(key.limitsAt) + rules.limitsEveryMs,
      keyId: key.id,
      scope: null,
      model: null,
      coolsUntil: null,
      isUrgent: false,
      why: `Key ${key.label}: what is left of its limit`,
    }));
  const { account } = seen;
  if (!account.hasManagementKey || keys.length === 0) {
    return limits;
  }
  const { balanceAt } = account;
  return [
    ...limits,
    {
      kind: 'pollAccount',
      id: `balance/${balanceAt}`,
      dueAtMs: balanceAt === null ? nowMs : Date.parse(balanceAt) + rules.balanceEveryMs,
      keyId: null,
      scope: null,
      model: null,
      coolsUntil: null,
      isUrgent: false,
      why: `Account ${account.name}: what is left of its credit`,
    },
  ];
}

/** Somebody waits and no account may be asked: one that cools longer than it must is found out. */
function ofWaiting(ground: Ground): KeyringJob[] {
  const { seen, memory, nowMs, rules } = ground;
  const row = seen.health.find(({ scope }) => scope === 'account');
  if (!seen.isPoolDown || memory.wantedUntilMs <= nowMs || row?.state !== 'cooling') {
    return [];
  }
  const left = row.until === null ? 0 : Date.parse(row.until) - nowMs;
  const key = probeKey(ground, row);
  if (left > rules.longestUrgentMs || key === null) {
    return [];
  }
  const id = urgentId(row);
  const before = memory.done[id];
  const pauses = urgentPausesMs[Math.min((before?.times ?? 0) - 1, urgentPausesMs.length - 1)];
  return [
    {
      kind: 'probeCapacity',
      id,
      dueAtMs: before === undefined ? nowMs : before.atMs + (pauses ?? 0),
      keyId: key.id,
      scope: row.scope,
      model: row.model,
      coolsUntil: null,
      isUrgent: true,
      why: `Somebody waits and no account may be used: is ${seen.account.name} well before ${row.until === null ? 'its time' : instantWords(row.until, nowMs)}?`,
    },
  ];
}

function urgentId({ since }: HealthSeen): string {
  return `urgent/${since}`;
}

/** What is remembered although nobody waits for it now: the same state may hold up the next one. */
export function recalledIds({ health }: KeyringSeen, rules: KeyringRules): string[] {
  return rules.recallsUrgent ? health.filter(({ scope }) => scope === 'account').map(urgentId) : [];
}

function againAt({ rules, nowMs }: Ground, row: HealthSeen, graceMs = rules.graceMs): number {
  const endsAtMs = row.until === null ? null : Date.parse(row.until);
  const checkAtMs = row.nextCheckAt === null ? null : Date.parse(row.nextCheckAt);
  if (row.state === 'cooling' && row.evidence.verify !== true) {
    return (endsAtMs ?? checkAtMs ?? nowMs) + graceMs;
  }
  return checkAtMs ?? endsAtMs ?? nowMs;
}

// The one whose state is asked for; else one that is well itself, or cools, never a suspended one.
function probeKey({ seen, keys }: Ground, row: HealthSeen): KeySeen | null {
  if (row.keyId !== null) {
    return keys.find(({ id }) => id === row.keyId) ?? null;
  }
  const stateOf = ({ id }: KeySeen) => seen.health.find(({ keyId }) => keyId === id)?.state;
  return (
    keys.find((key) => stateOf(key) === undefined) ??
    keys.find((key) => stateOf(key) !== 'suspended') ??
    null
  );
}

function jobId(kind: string, row: HealthSeen): string {
  const subject = row.keyId ?? row.model ?? row.scope;
  return [kind, subject, row.since, row.until, row.nextCheckAt].join('/');
}
