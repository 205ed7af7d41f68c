import { once } from 'node:events';
import { isBundleCurrent } from '../bundle';
import { eachLine, type Output } from './output';
import { spawnOurs } from './parts';

/**
 * Makes sure the file holds the bundle of the workflows as they are now. A process of its own builds
 * it: webpack's memory goes with it.
 */
export async function buildBundle(file: string, output: Output): Promise<void> {
  if (isBundleCurrent(file)) {
    return;
  }
  const child = spawnOurs('workers/bundle', { flags: [file], environment: {} });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) {
      eachLine(stream, (text) => {
        lines.push(text);
        output.line('bundle', text);
      });
    }
  }
  await once(child, 'close');
  if (child.exitCode !== 0) {
    throw new Error(`The workflows could not be bundled:\n${lines.slice(-8).join('\n')}`);
  }
}
