import { parseQueues } from './queueChoice';
import { runWorker } from './runWorker';

async function main(): Promise<void> {
  await runWorker({ queues: parseQueues(process.argv.slice(2)) });
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
