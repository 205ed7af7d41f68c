import { realpathSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where the code of this run begins: the project's folder, or `dist` in a build. */
export const codeRoot = path.resolve(__dirname, '..', '..');

/**
 * Arguments for Node to run one of our own scripts, named without extension (`api/server`): through
 * tsx from the sources, as plain JavaScript from a build.
 */
export function ourScript(name: string, options: { watch?: boolean } = {}): string[] {
  const extension = path.extname(__filename);
  const file = path.join(codeRoot, `${name}${extension}`);
  if (extension === '.js') {
    return [file];
  }
  return options.watch
    ? [tsxCommand(), 'watch', '--clear-screen=false', file]
    : ['--import', pathToFileURL(require.resolve('tsx')).href, file];
}

function tsxCommand(): string {
  return realpathSync(path.join(path.dirname(require.resolve('tsx/package.json')), 'dist/cli.mjs'));
}
