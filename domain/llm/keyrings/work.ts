import { becauseOf } from './explain';
import type { HealthScope } from '../types';
import { instantWords } from './words';
import type { HealthSeen, KeyringSeen, KeySeen } from './types';

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

/** What is done, by when and for what; `wakeAtMs` is at the latest. */
export interface KeyringWork {
  jobs: KeyringJob[];
  wakeAtMs: number;
  why: string;
}

export interface KeyringRules {
  /** After the end of a cooling, the next call that comes is let find out how things are. */
  graceMs: number;
  /** The same for models: others serve meanwhile. */
  modelGraceMs: number;
  limitsEveryMs: number;
  balanceEveryMs: number;
  lookWhenWellMs: number;
  lookWhenNotMs: number;
  /** How long a key that was rotated may still end what it began. */
  drainMs: number;
  /** What lasts longer is the limit of a day: asking cannot end it. */
  longestUrgentMs: number;
}

export const keyringRules: KeyringRules = {
  graceMs: 2_000,
  modelGraceMs: 30_000,
  limitsEveryMs: 15 * 60_000,
  balanceEveryMs: 5 * 60_000,
  lookWhenWellMs: 5 * 60_000,
  lookWhenNotMs: 30_000,
  drainMs: 10 * 60_000,
  longestUrgentMs: 60 * 60_000,
};

const none: ReadonlySet<string> = new Set();
const urgentPausesMs = [2_000, 4_000, 8_000, 15_000] as const;
const spacing = { firstMs: 5_000, mostMs: 5 * 60_000 } as const;

/** Everything there is to do and not under way, the next first. */
export function keyringWork(
  seen: KeyringSeen,
  memory: KeyringMemory,
  { nowMs, underWay = none }: { nowMs: number; underWay?: ReadonlySet<string> },
  rules: KeyringRules = keyringRules,
): KeyringWork {
  const isInUse = ({ standing }: { standing: string }) =>
    standing === 'active' || standing === 'draining';
  const keys = isInUse(seen.account)
    ? seen.keys.filter((key) => isInUse(key) && !(Date.parse(key.expiresAt ?? '') <= nowMs))
    : [];
  const ground: Ground = { seen, keys, memory, nowMs, rules };
  const wanted = [
    ...keys.flatMap((key) => ofReplaced(ground, key)),
    ...seen.health.flatMap((row) => ofHealth(ground, row)),
    ...ofRegularPolls(ground),
    ...ofWaiting(ground),
  ];
  const jobs = wanted
    .filter(({ id }) => !underWay.has(id))
    .map((job) => ({ ...job, dueAtMs: spaced(job, memory) }))
    .toSorted((a, b) => a.dueAtMs - b.dueAtMs);
  const isWell = seen.health.length === 0;
  const lookAtMs = nowMs + (isWell ? rules.lookWhenWellMs : rules.lookWhenNotMs);
  const [first] = jobs;
  const isLookFirst = first === undefined || first.dueAtMs > lookAtMs;
  return {
    jobs,
    wakeAtMs: isLookFirst ? lookAtMs : first.dueAtMs,
    why: isLookFirst ? whyLooking(ground) : whyWaiting(seen, first, nowMs),
  };
}

interface Ground {
  seen: KeyringSeen;
  /** Those that may be asked with at all. */
  keys: KeySeen[];
  memory: KeyringMemory;
  nowMs: number;
  rules: KeyringRules;
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
  return [
    {
      kind: 'pollAccount',
      id: jobId('credits', row),
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
  const id = `urgent/${row.since}`;
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

// What is done again and again without a change is done ever more rarely.
function spaced({ id, dueAtMs }: KeyringJob, { done }: KeyringMemory): number {
  const before = done[id];
  if (before === undefined || id.startsWith('urgent/')) {
    return dueAtMs;
  }
  const pauseMs = Math.min(spacing.firstMs * 2 ** (before.times - 1), spacing.mostMs);
  return Math.max(dueAtMs, before.atMs + pauseMs);
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

function subjectWords({ seen }: Ground, row: HealthSeen): string {
  switch (row.scope) {
    case 'key':
      return `Key ${seen.keys.find(({ id }) => id === row.keyId)?.label ?? row.keyId}`;
    case 'account':
      return `Account ${seen.account.name}`;
    case 'accountModel':
      return `Model ${row.model} with account ${seen.account.name}`;
    case 'model':
      return `Model ${row.model}`;
    case 'platform':
      return 'The vendor';
  }
}

const stateVerbs = { cooling: 'cools', suspended: 'is suspended', draining: 'drains' } as const;

/** "Key demo-2 cools until 14:02:10 UTC: 429, the vendor limits the account (X-RateLimit-Reset)". */
function whyOf({ nowMs }: Ground, row: HealthSeen, subject: string): string {
  const until = row.until === null ? '' : ` until ${instantWords(row.until, nowMs)}`;
  const isAskedAgain = row.until === null && row.nextCheckAt !== null;
  const again = isAskedAgain ? `, asked again ${instantWords(row.nextCheckAt ?? '', nowMs)}` : '';
  return `${subject} ${stateVerbs[row.state]}${until}: ${becauseOf(row)}${again}`;
}

// "Account Acme cools until 14:02:10 UTC: 429, … (and 2 more)".
function whyWaiting(seen: KeyringSeen, first: KeyringJob, nowMs: number): string {
  const others = seen.health.filter(
    ({ until }) => until !== null && Date.parse(until) > nowMs,
  ).length;
  const isOfHealth = first.scope !== null && others > 1;
  return `${first.why}${isOfHealth ? ` (and ${others - 1} more)` : ''}`;
}

// What it waits for is further away than its next look, by which it would hear of what it was not told.
function whyLooking(ground: Ground): string {
  const rows = ground.seen.health.toSorted((a, b) =>
    (a.until ?? a.nextCheckAt ?? '9').localeCompare(b.until ?? b.nextCheckAt ?? '9'),
  );
  const [row] = rows;
  if (row === undefined) {
    return 'All is well: until the next look';
  }
  const others = rows.length > 1 ? ` (and ${rows.length - 1} more)` : '';
  return `${whyOf(ground, row, subjectWords(ground, row))}${others}; until the next look`;
}
