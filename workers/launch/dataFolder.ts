import { mkdirSync, openSync, closeSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { commandLineOf, isAlive } from '../../lib/processes';
import { readPid } from './guarded';

/** The data folder while one supervisor holds it. */
export interface DataFolder {
  dir: string;
  /** The run before this one did not get to stop its parts: some may still be ending. */
  wasCutShort: boolean;
  release(): void;
}

/**
 * Makes the data folder and holds it for this process, so that no second supervisor works on the
 * same data. Throws when another one lives.
 */
export async function holdDataFolder(dir: string): Promise<DataFolder> {
  // Others may pass through but not look: as root, Postgres runs as another user.
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  const pidFile = path.join(dir, 'supervisor.pid');
  const previous = readPid(pidFile);
  if (previous !== undefined && previous !== process.pid && (await isSupervisor(previous))) {
    throw new Error(
      `Carillon already runs on ${dir} (pid ${previous}). Stop it first, or set CARILLON_DATA_DIR to another folder.`,
    );
  }
  rmSync(pidFile, { force: true });
  const handle = openSync(pidFile, 'wx');
  writeSync(handle, `${process.pid}\n`);
  closeSync(handle);
  return {
    dir,
    wasCutShort: previous !== undefined,
    release: () => rmSync(pidFile, { force: true }),
  };
}

/** Waits until the condition holds, asking every 100 ms; false when it did not in time. */
export async function waitUntil(
  condition: () => Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      return false;
    }
    await wait(100);
  }
  return true;
}

async function isSupervisor(pid: number): Promise<boolean> {
  return isAlive(pid) && /workers[/\\]start\.(ts|js)/.test(await commandLineOf(pid));
}
