import { keyringJobs } from './jobs';
import type { Ground, KeyringJob, KeyringMemory } from './jobs';
import { subjectWords, whyOf } from './jobWords';
import { keyringRules, type KeyringRules } from './rules';
import type { KeyringSeen, KeySeen } from './types';

/** What is done, by when and for what; `wakeAtMs` is at the latest. */
export interface KeyringWork {
  jobs: KeyringJob[];
  wakeAtMs: number;
  why: string;
}

const none: ReadonlySet<string> = new Set();
const spacing = { firstMs: 5_000, mostMs: 5 * 60_000 } as const;

/** Everything there is to do and not under way, the next first. */
export function keyringWork(
  seen: KeyringSeen,
  memory: KeyringMemory,
  { nowMs, underWay = none }: { nowMs: number; underWay?: ReadonlySet<string> },
  rules: KeyringRules = keyringRules,
): KeyringWork {
  const keys = keysInUse(seen, nowMs);
  const ground: Ground = { seen, keys, memory, nowMs, rules };
  const jobs = keyringJobs(ground)
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

/** The keys of an account that may be asked with at all. */
export function keysInUse({ account, keys }: KeyringSeen, nowMs: number): KeySeen[] {
  const isInUse = ({ standing }: { standing: string }) =>
    standing === 'active' || standing === 'draining';
  return isInUse(account)
    ? keys.filter((key) => isInUse(key) && !(Date.parse(key.expiresAt ?? '') <= nowMs))
    : [];
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
