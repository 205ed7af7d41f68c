import { planWaves } from '../domain/campaigns/waves';
import type { WavePlanner } from '../models/campaigns/planning';
import { parseQueues } from '../workers/queueChoice';
import { runWorker } from '../workers/runWorker';

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

async function main(): Promise<void> {
  await runWorker({
    queues: parseQueues(process.argv.slice(2)),
    replace: { planner: planAllAtOnce },
  });
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
