import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errorCode } from './errorCode';

const run = promisify(execFile);

/**
 * Whether a process with this pid runs. One of somebody else's counts; a zombie does not: some
 * containers have no init that would ever collect it.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
  try {
    return statFields(readFileSync(`/proc/${pid}/stat`, 'utf8'))[0] !== 'Z';
  } catch {
    return true;
  }
}

/** A process's command line with blanks between the words; empty if it is gone or a zombie. */
export async function commandLineOf(pid: number): Promise<string> {
  try {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    return words.replaceAll('\0', ' ').trim();
  } catch {
    return askPs(pid, 'args');
  }
}

/** The parent's pid, or undefined when that cannot be told. */
export async function parentOf(pid: number): Promise<number | undefined> {
  try {
    return toPid(statFields(await readFile(`/proc/${pid}/stat`, 'utf8'))[1]);
  } catch {
    return toPid(await askPs(pid, 'ppid'));
  }
}

// "pid (name) state ppid …": the name may hold anything, so count from its closing bracket.
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function toPid(text: string | undefined): number | undefined {
  const pid = Number.parseInt(text ?? '', 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

// Where there is no /proc (macOS); no ps either means that we cannot tell.
async function askPs(pid: number, column: 'args' | 'ppid'): Promise<string> {
  try {
    const { stdout } = await run('ps', ['-o', `${column}=`, '-p', String(pid)]);
    return stdout.trim();
  } catch {
    return '';
  }
}
