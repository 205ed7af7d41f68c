import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';

/** From now on `peakMiB` tells the most memory held after this. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The most memory a living process has held at once, in MiB. */
export function peakMiB(pid: number): number {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(peak?.[1] ?? 0) / 1024;
}

/** CPU seconds that the processes and their children have used so far. */
export function cpuSeconds(pids: number[]): number {
  const roots = new Set(pids);
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) {
      continue;
    }
    const stat = readStat(name);
    if (stat !== undefined && (roots.has(Number(name)) || roots.has(stat.parent))) {
      ticks += stat.ticks;
    }
  }
  return ticks / ticksPerSecond();
}

function readStat(pid: string): { parent: number; ticks: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // It ended between the listing and the reading.
    return undefined;
  }
  // "pid (name) state ppid …": the name may hold anything, so count from its closing bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
}

let ticks: number | undefined;

function ticksPerSecond(): number {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticks;
}
