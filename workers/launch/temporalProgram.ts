import { execFile, spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { childEnvironment } from '../../lib/config';
import { ourScript } from './ourScript';

const run = promisify(execFile);

/** The release of Temporal's command-line program that Carillon fetches: server 1.29.1 and its UI. */
export const temporalVersion = '1.5.1';

const goPackage = `github.com/temporalio/cli/cmd/temporal@v${temporalVersion}`;
const buildTimeoutMs = 15 * 60_000;
const downloadTimeoutMs = 5 * 60_000;
const downloadStallMs = 20_000;

export interface TemporalSource {
  /** TEMPORAL_CLI_PATH */
  givenPath: string | undefined;
  /** CARILLON_CACHE_DIR */
  cacheDir: string;
  /** Called every few seconds while something is fetched or built. */
  onProgress: (text: string) => void;
}

/**
 * The path of a Temporal program that can run a development server, from the first of: the given
 * path, PATH, our cache, the SDK's download, a build with Go. Throws with one line per way tried.
 */
export async function findTemporalProgram(source: TemporalSource): Promise<string> {
  if (source.givenPath !== undefined) {
    const problem = await problemOf(source.givenPath);
    if (problem === undefined) {
      return source.givenPath;
    }
    throw new Error(
      `TEMPORAL_CLI_PATH=${source.givenPath} ${problem}. Point it to Temporal's command-line program, or unset it.`,
    );
  }

  const folder = path.join(source.cacheDir, 'temporal', temporalVersion);
  const cached = path.join(folder, 'temporal');
  const failures: string[] = [];
  const ways: (() => Promise<string>)[] = [
    () => fromPath(),
    () => fromCache(cached),
    () => fromDownload({ folder, cached, onProgress: source.onProgress }),
    () => fromGo({ folder, cached, onProgress: source.onProgress }),
  ];
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(
    [
      'There is no Temporal server to start. Tried:',
      ...failures.map((failure) => `  - ${failure}`),
      `Install Go 1.25 or newer with access to its module proxy, or put the temporal program (${temporalVersion} or newer) on PATH, ` +
        'or name it in TEMPORAL_CLI_PATH, or set TEMPORAL_ADDRESS to a running server.',
    ].join('\n'),
  );
}

async function fromPath(): Promise<string> {
  const found = whereOnPath('temporal');
  if (found === undefined) {
    throw new Error('PATH: there is no program named temporal.');
  }
  const problem = await problemOf(found);
  if (problem !== undefined) {
    throw new Error(`PATH: ${found} ${problem}.`);
  }
  return found;
}

async function fromCache(cached: string): Promise<string> {
  const problem = await problemOf(cached);
  if (problem !== undefined) {
    throw new Error(`Cache: ${cached} ${problem}.`);
  }
  return cached;
}

interface Fetch {
  folder: string;
  cached: string;
  onProgress: (text: string) => void;
}

async function fromDownload({ folder, cached, onProgress }: Fetch): Promise<string> {
  const inbox = path.join(folder, `download-${process.pid}`);
  mkdirSync(inbox, { recursive: true });
  const stopTelling = tellEvery(onProgress, "downloading Temporal's development server");
  try {
    await downloadWithSdk(inbox);
    const file = biggestFile(inbox);
    if (file === undefined) {
      throw new Error('it left no program');
    }
    renameSync(file, cached);
    return await fromCache(cached);
  } catch (error) {
    throw new Error(`Download through the SDK: ${messageOf(error)}.`, { cause: error });
  } finally {
    stopTelling();
    rmSync(inbox, { recursive: true, force: true });
  }
}

// In a process of its own: the SDK's native code cannot be told to give up, a process can.
function downloadWithSdk(inbox: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [...ourScript('workers/launch/downloadTemporal'), inbox, temporalVersion],
      { stdio: ['ignore', 'ignore', 'pipe'], env: childEnvironment({}) },
    );
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = `${complaint}${chunk.toString()}`.slice(-2000);
    });
    const startedAt = Date.now();
    let size = 0;
    let grownAt = startedAt;
    let reason: string | undefined;
    const watch = setInterval(() => {
      const now = Date.now();
      const sizeNow = folderSize(inbox);
      if (sizeNow !== size) {
        size = sizeNow;
        grownAt = now;
      }
      if (now - grownAt > downloadStallMs || now - startedAt > downloadTimeoutMs) {
        reason = 'it did not go on';
        child.kill('SIGKILL');
      }
    }, 1000);
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(watch);
      if (code === 0) {
        resolve();
        return;
      }
      reject(new Error(reason ?? complaint.trim().split('\n').at(-1) ?? `it ended with ${code}`));
    });
  });
}

async function fromGo({ folder, cached, onProgress }: Fetch): Promise<string> {
  const go = whereOnPath('go');
  if (go === undefined) {
    throw new Error('Build with Go: there is no program named go on PATH.');
  }
  const inbox = path.join(folder, `build-${process.pid}`);
  mkdirSync(inbox, { recursive: true });
  const stopTelling = tellEvery(
    onProgress,
    `building Temporal's development server ${temporalVersion} with Go (two to five minutes, once)`,
  );
  try {
    const build = run(go, ['install', goPackage], {
      env: childEnvironment({ GOBIN: inbox, GOFLAGS: '-mod=mod' }),
      timeout: buildTimeoutMs,
      maxBuffer: 16 * 1024 * 1024,
    });
    // Nobody needs the program any more once we have been stopped.
    const giveUp = () => build.child.kill();
    process.once('exit', giveUp);
    await build;
    process.removeListener('exit', giveUp);
    renameSync(path.join(inbox, 'temporal'), cached);
    return await fromCache(cached);
  } catch (error) {
    throw new Error(`Build with Go (go install ${goPackage}): ${messageOf(error)}.`, {
      cause: error,
    });
  } finally {
    stopTelling();
    rmSync(inbox, { recursive: true, force: true });
  }
}

/** What is wrong with the program, as the rest of a sentence; undefined when it will do. */
async function problemOf(program: string): Promise<string | undefined> {
  try {
    accessSync(program, constants.X_OK);
  } catch {
    return existsSync(program) ? 'may not be executed' : 'is not there';
  }
  try {
    const { stdout } = await run(program, ['--version'], { timeout: 20_000 });
    const server = /Server (\d+)\.(\d+)/.exec(stdout);
    if (server === null) {
      return 'does not say which Temporal server it holds';
    }
    const isOldEnough = Number(server[1]) > 1 || Number(server[2]) >= 28;
    return isOldEnough
      ? undefined
      : `holds server ${server[1]}.${server[2]}, 1.28 or newer is needed`;
  } catch (error) {
    return `does not run (${messageOf(error)})`;
  }
}

function whereOnPath(name: string): string | undefined {
  return (childEnvironment({}).PATH ?? '')
    .split(path.delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

function tellEvery(onProgress: (text: string) => void, what: string): () => void {
  const startedAt = Date.now();
  onProgress(what);
  const timer = setInterval(() => {
    onProgress(`${what}: ${Math.round((Date.now() - startedAt) / 1000)} s`);
  }, 5000);
  return () => clearInterval(timer);
}

function filesIn(folder: string): { file: string; size: number }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const file = path.join(folder, name);
    const stats = statSync(file, { throwIfNoEntry: false });
    return stats?.isFile() ? [{ file, size: stats.size }] : [];
  });
}

function folderSize(folder: string): number {
  return filesIn(folder).reduce((sum, { size }) => sum + size, 0);
}

function biggestFile(folder: string): string | undefined {
  return filesIn(folder).sort((a, b) => b.size - a.size)[0]?.file;
}

function messageOf(error: unknown): string {
  const text =
    error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' && error.stderr
      ? error.stderr
      : error instanceof Error
        ? error.message
        : String(error);
  const told = text.trim().split('\n').slice(-3).join(' ').replace(/\.$/, '');
  // The cause comes last, after everything that wrapped it.
  return told.length > 300 ? `…${told.slice(-300)}` : told;
}
