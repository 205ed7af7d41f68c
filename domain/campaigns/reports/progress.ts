import { runIsOpen, type Gate, type RunState } from '../types';
import type { WaveWait } from '../waves';

/** What a run stands still for. */
export interface Waiting {
  for: 'resume' | 'lastCalls' | 'wave' | WaveWait | 'rateLimit' | 'provider' | 'events';
  /** When it goes on by itself; null when that is up to somebody. */
  until: Date | null;
  /** What is known of the reason. */
  detail: string | null;
}

interface WaveTimes {
  startsAt: Date;
  /** What puts its instant off. */
  waitsFor?: WaveWait | null;
  /** Messages that have not been sent yet. */
  open: number;
  waitsUntil: Date | null;
  waitReason: string | null;
}

interface RunFacts {
  state: RunState;
  gate: Gate;
  gateReason: string | null;
  inDoubt: number;
  nextDoubtAt: Date | null;
}

/** Why no call leaves just now, or null while calls leave or nothing is left to wait for. */
export function waitingOf(run: RunFacts, waves: readonly WaveTimes[], now: Date): Waiting | null {
  if (!runIsOpen[run.state]) {
    return null;
  }
  if (run.gate === 'closed') {
    return { for: 'lastCalls', until: null, detail: run.gateReason };
  }
  if (run.gate === 'paused') {
    return { for: 'resume', until: null, detail: run.gateReason };
  }
  const waits = waves.filter((wave) => wave.open > 0).map((wave) => waitOf(wave, now));
  const [soonest] = waits
    .filter((wait) => wait !== null)
    .sort((a, b) => a.until.getTime() - b.until.getTime());
  if (waits.includes(null)) {
    return null;
  }
  if (soonest !== undefined) {
    return soonest;
  }
  return run.inDoubt > 0 ? { for: 'events', until: run.nextDoubtAt, detail: 'callsInDoubt' } : null;
}

function waitOf(wave: WaveTimes, now: Date): (Waiting & { until: Date }) | null {
  if (wave.startsAt > now) {
    return { for: wave.waitsFor ?? 'wave', until: wave.startsAt, detail: null };
  }
  if (wave.waitsUntil === null || wave.waitsUntil <= now) {
    return null;
  }
  if (wave.waitReason === 'frequencyCap') {
    return { for: wave.waitReason, until: wave.waitsUntil, detail: null };
  }
  return {
    for: wave.waitReason?.startsWith('rateLimit') === true ? 'rateLimit' : 'provider',
    until: wave.waitsUntil,
    detail: wave.waitReason,
  };
}

/** When the next wave of an open, unpaused run opens. */
export function nextRunAt(
  run: Pick<RunFacts, 'state' | 'gate'>,
  waves: readonly WaveTimes[],
  now: Date,
): Date | null {
  if (!runIsOpen[run.state] || run.gate !== 'open') {
    return null;
  }
  const ahead = waves.filter((wave) => wave.open > 0 && wave.startsAt > now);
  return ahead.length === 0
    ? null
    : new Date(Math.min(...ahead.map((wave) => wave.startsAt.getTime())));
}

/** How much of the plan has ended, to a tenth of a percent; 100 only when all of it has. */
export function percentDone(counts: { planned: number; open: number; inDoubt: number }): number {
  if (counts.planned === 0) {
    return 0;
  }
  const ended = counts.planned - counts.open - counts.inDoubt;
  return Math.floor((ended / counts.planned) * 1000) / 10;
}
