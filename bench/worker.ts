import { parseArgs } from 'node:util';
import { planWaves } from '../domain/campaigns/waves';
import type { WavePlanner } from '../models/campaigns/planning';
import { parseQueues } from '../workers/queueChoice';
import { runWorker } from '../workers/runWorker';
import { apiKey } from './campaign/content';
import { createPreparedCalls } from './campaign/preparedCalls';

// Time for the ledger to be written before the first instant.
const planningMs = (customers: number) => 4_000 + customers / 30;

/**
 * The real plan, zone by zone and wave by wave, but all waves are due at one instant, as soon as the
 * ledger is written: a benchmark cannot wait for the earth to turn.
 */
const planAllAtOnce: WavePlanner = (input) => {
  const plan = planWaves(input);
  const customers = input.groups.reduce((sum, group) => sum + group.customers, 0);
  const startsAt = new Date(input.now.getTime() + planningMs(customers));
  return {
    ...plan,
    waves: plan.waves.map((wave) => ({
      ...wave,
      startsAt,
      closesAt: new Date(startsAt.getTime() + wave.closesAt.getTime() - wave.startsAt.getTime()),
    })),
  };
};

const text = { type: 'string' } as const;

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    options: { queues: text, bodies: text, 'body-index': text, 'post-to': text },
  });
  const { queues, bodies: file, 'body-index': indexFile, 'post-to': baseUrl } = values;
  await runWorker({
    queues: parseQueues(queues === undefined ? [] : [`--queues=${queues}`]),
    replace: {
      planner: planAllAtOnce,
      // With bodies that were rendered beforehand only the rest of a lane's work is measured.
      ...(file && indexFile && baseUrl
        ? { writeCall: createPreparedCalls({ file, indexFile, apiKey, baseUrl }) }
        : {}),
    },
  });
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
