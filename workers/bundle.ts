import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { createLogger } from '../lib/logger';

const root = path.resolve(__dirname, '..');

/**
 * Bundles the workflows into one file that every worker loads, unless the file is there already and
 * made from the same sources. Answers whether it had to be built.
 */
export async function buildWorkflowBundle(file: string): Promise<boolean> {
  if (isBundleCurrent(file)) {
    return false;
  }
  const hash = sourceHash();
  // Loaded only when there is something to bundle: the SDK takes a second to come up.
  const { bundleWorkflowCode } = await import('@temporalio/worker');
  const logger = createLogger({ name: 'bundle', level: 'warn' });
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(root, 'workflows', `index${path.extname(__filename)}`),
    failureConverterPath: path.join(
      root,
      'workflows',
      `failureConverter${path.extname(__filename)}`,
    ),
    logger: {
      log: () => undefined,
      trace: () => undefined,
      debug: () => undefined,
      info: () => undefined,
      warn: (message) => logger.warn(message),
      error: (message) => logger.error(message),
    },
  });
  mkdirSync(path.dirname(file), { recursive: true });
  // Renamed into place: a worker that starts meanwhile never reads half a bundle.
  writeFileSync(`${file}.new`, code);
  renameSync(`${file}.new`, file);
  writeFileSync(`${file}.hash`, hash);
  return true;
}

/** Whether the file holds the bundle of the sources as they are now. */
export function isBundleCurrent(file: string): boolean {
  return (
    existsSync(file) &&
    existsSync(`${file}.hash`) &&
    readFileSync(`${file}.hash`, 'utf8') === sourceHash()
  );
}

// What the bundle is made from: our workflow and domain code, and the version of the SDK.
function sourceHash(): string {
  const hash = createHash('sha256');
  hash.update(readFileSync(require.resolve('@temporalio/worker/package.json')));
  hash.update(readFileSync(require.resolve('luxon/package.json')));
  for (const folder of ['workflows', 'domain']) {
    const names = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((name) => /\.(ts|js)$/.test(name)).sort()) {
      hash.update(name).update('\0');
      hash.update(readFileSync(path.join(root, folder, name))).update('\0');
    }
  }
  return hash.digest('hex');
}

async function main(): Promise<void> {
  const file = process.argv[2] ?? path.join(root, 'workflow-bundle.js');
  const startedAt = Date.now();
  const isNew = await buildWorkflowBundle(path.resolve(file));
  const logger = createLogger({ name: 'bundle' });
  logger.info(
    { file, ms: Date.now() - startedAt },
    isNew ? 'workflow bundle built' : 'workflow bundle is up to date',
  );
}

if (require.main === module) {
  main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}
