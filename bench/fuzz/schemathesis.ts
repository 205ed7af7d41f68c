import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { childEnvironment } from '../../lib/config';

const requirements = path.join(__dirname, 'requirements.txt');

/** Oldest Python that the pinned packages run on. */
const python = { program: 'python3', least: [3, 10] } as const;

/**
 * The fuzzer's program, in a Python environment of its own in the cache folder. It is made once for
 * each list of pinned packages; what a broken-off start left there is thrown away.
 */
export async function findSchemathesis(options: {
  cacheDir: string;
  onProgress: (text: string) => void;
}): Promise<string> {
  const pins = readFileSync(requirements);
  const digest = createHash('sha256').update(pins).digest('hex').slice(0, 12);
  const folder = path.join(options.cacheDir, `schemathesis-${digest}`);
  const program = path.join(folder, 'bin', 'schemathesis');
  const finished = path.join(folder, 'complete');
  if (existsSync(finished)) {
    return program;
  }
  await requirePython();
  options.onProgress(`installing schemathesis into ${folder}`);
  rmSync(folder, { recursive: true, force: true });
  await run(python.program, ['-m', 'venv', folder]);
  const pip = path.join(folder, 'bin', 'pip');
  await run(pip, ['install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
  writeFileSync(finished, '');
  return program;
}

/** Runs it to its end and answers its exit code; null when it had to be stopped at the limit. */
export async function runSchemathesis(options: {
  program: string;
  args: string[];
  environment: Record<string, string>;
  cwd: string;
  limitMs: number;
}): Promise<number | null> {
  const { program, args, environment, cwd, limitMs } = options;
  const child = spawn(program, args, {
    cwd,
    env: childEnvironment(environment),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  try {
    await once(child, 'exit');
    return child.exitCode;
  } finally {
    clearTimeout(timer);
  }
}

async function requirePython(): Promise<void> {
  const [major, minor] = python.least;
  const check = `import sys, venv, ensurepip; sys.exit(sys.version_info < (${major}, ${minor}))`;
  try {
    await run(python.program, ['-c', check]);
  } catch (cause) {
    throw new Error(
      `The fuzzer is written in Python: install ${python.program} ${major}.${minor} or newer, with its venv module.`,
      { cause },
    );
  }
}

async function run(program: string, args: string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 2, 2] });
  await once(child, 'exit');
  if (child.exitCode !== 0) {
    throw new Error(
      `${program} ${args.join(' ')} ended with ${child.exitCode ?? child.signalCode}`,
    );
  }
}
