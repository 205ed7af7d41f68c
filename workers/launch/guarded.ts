import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { childEnvironment } from '../../lib/config';
import type { GuardOrder } from './guard';
import { ourScript } from './ourScript';
import { commandLineOf, isAlive } from '../../lib/processes';

/** Starts a guard that owns the server; closing its standard input, or dying, stops the server. */
export function spawnGuarded(
  order: GuardOrder,
  environment: Record<string, string> = {},
): ChildProcess {
  return spawn(process.execPath, [...ourScript('workers/launch/guard'), JSON.stringify(order)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: childEnvironment(environment),
  });
}

/** The pid a guard or Postgres wrote down, if the file is there and readable. */
export function readPid(file: string): number | undefined {
  if (!existsSync(file)) {
    return undefined;
  }
  const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
}

/**
 * Stops a server that a killed run left behind: the process in the pid file, if it lives and its
 * command line holds `mark` (pids are reused). Resolves once it is gone; answers whether there was one.
 */
export async function stopLeftover(options: {
  pidFile: string;
  mark: string;
  signal: 'SIGINT' | 'SIGTERM';
  patienceMs: number;
}): Promise<boolean> {
  const pid = readPid(options.pidFile);
  if (pid === undefined || !(await commandLineOf(pid)).includes(options.mark)) {
    return false;
  }
  await endProcess(pid, options.signal, options.patienceMs);
  rmSync(options.pidFile, { force: true });
  return true;
}

/** Asks a process to end, then kills it; resolves once it is gone. */
export async function endProcess(
  pid: number,
  signal: 'SIGINT' | 'SIGTERM',
  patienceMs: number,
): Promise<void> {
  signalIfAlive(pid, signal);
  const patienceEnds = Date.now() + patienceMs;
  while (isAlive(pid) && Date.now() < patienceEnds) {
    await wait(50);
  }
  signalIfAlive(pid, 'SIGKILL');
  const killEnds = Date.now() + 5000;
  while (isAlive(pid) && Date.now() < killEnds) {
    await wait(50);
  }
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  if (isAlive(pid)) {
    process.kill(pid, signal);
  }
}
