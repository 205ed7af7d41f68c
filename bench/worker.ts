import { planWaves } from '../domain/campaigns/waves';
import type { WavePlanner } from '../models/campaigns/planning';
import { runWorker } from '../workers/runWorker';

/**
 * The real plan, zone by zone and wave by wave, but every wave is due at once: a benchmark cannot
 * wait for the earth to turn.
 */
const planAllDueNow: WavePlanner = (input) => {
  const plan = planWaves(input);
  return {
    ...plan,
    waves: plan.waves.map((wave) => ({
      ...wave,
      startsAt: input.now,
      closesAt: new Date(input.now.getTime() + wave.closesAt.getTime() - wave.startsAt.getTime()),
    })),
  };
};

runWorker({ planner: planAllDueNow }).catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
