import { watch } from 'node:fs';
import path from 'node:path';
import { codeRoot } from './ourScript';

const folders = [
  'activities',
  'api',
  'clients',
  'domain',
  'gateway',
  'lib',
  'migrations',
  'models',
  'providers',
  'workers',
  'workflows',
];
const settleMs = 300;

/** Calls `onChange` shortly after a source file changed; several changes at once count as one. */
export function watchSources(onChange: () => void): void {
  let timer: NodeJS.Timeout | undefined;
  for (const folder of folders) {
    watch(path.join(codeRoot, folder), { recursive: true }, (_, name) => {
      if (name?.endsWith('.ts')) {
        clearTimeout(timer);
        timer = setTimeout(onChange, settleMs);
      }
    });
  }
}
