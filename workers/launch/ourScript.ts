import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where the code of this run begins: the project's folder, or `dist` in a build. */
export const codeRoot = path.resolve(__dirname, '..', '..');

/** The project's folder in both cases: what is not code lies there. */
export const projectRoot = path.basename(codeRoot) === 'dist' ? path.dirname(codeRoot) : codeRoot;

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
