import { execFile } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(__dirname, '..', '..');

/**
 * Compiles what the benchmark starts as processes, so that plain JavaScript is measured, as in
 * production, and not a loader. Answers the folder that takes the place of the project's.
 */
export async function buildForBench(folder: string): Promise<string> {
  const dist = path.join(folder, 'dist');
  const project = path.join(folder, 'tsconfig.json');
  writeFileSync(
    project,
    JSON.stringify({
      extends: path.join(root, 'tsconfig.json'),
      compilerOptions: { rootDir: root, outDir: dist, sourceMap: false, noCheck: true },
      files: entries.map((name) => path.join(root, `${name}.ts`)),
      include: [],
    }),
  );
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  await run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
  await run(process.execPath, [path.join(dist, 'workers/bundle.js'), bundleFile(folder)]);
  return dist;
}

/** Where the workflow bundle lies. */
export function bundleFile(folder: string): string {
  return path.join(folder, 'workflow-bundle.js');
}

const entries = [
  'bench/worker',
  'bench/campaign/bareLoop',
  'bench/campaign/bareOneByOne',
  'bench/campaign/smtpSink',
  'bench/llm/process',
  'bench/webhooks/sender',
  'api/server',
  'sandbox/main',
  'workers/main',
  'workers/bundle',
  'workflows/failureConverter',
  'workflows/index',
];
