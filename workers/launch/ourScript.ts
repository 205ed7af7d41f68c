import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where the code of this run begins: the project's folder, or `dist` in a build. */
export const codeRoot = path.resolve(__dirname, '..', '..');

/** The project's folder in both cases: what is not code lies there. */
export const projectRoot = path.basename(codeRoot) === 'dist' ? path.dirname(codeRoot) : codeRoot;

/**
 * Node's own flags for a worker. What a block of calls makes lives as long as its calls: with Node's
 * 16 MiB it is copied again and again, and the threads that collect it take a sixth of a worker's CPU
 * from the others of the machine. 32 spare about a third of that for up to 48 MiB more a process.
 * What lives longer is looked through when it has grown to three times of what was in use: left to
 * itself Node does so up to four times as often, and slows down all that runs meanwhile.
 */
export const workerNodeFlags: readonly string[] = [
  '--max-semi-space-size=32',
  '--heap-growing-percent=200',
];

/**
 * Arguments for Node to run one of our own scripts, named without extension (`api/server`): through
 * tsx from the sources, as plain JavaScript from a build.
 */
export function ourScript(name: string): string[] {
  const extension = path.extname(__filename);
  const file = path.join(codeRoot, `${name}${extension}`);
  return extension === '.js'
    ? [file]
    : ['--import', pathToFileURL(require.resolve('tsx')).href, file];
}
