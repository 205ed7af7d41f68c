import { runBare, startBareProcesses, type BareRun } from './bare';
import { createTenant } from './customers';
import type { BenchGround } from './ground';
import type { BenchOptions } from './options';
import { prepareBodies } from './prepareBodies';
import { peakMiB } from './processes';
import { countStatements } from './statements';
import { runProduct, type ProductRun } from './product';

/** All that was measured with one number of customers. */
export interface SizeResult {
  customers: number;
  bodyBytesPerMessage: number;
  rounds: { product: ProductRun; bare: BareRun }[];
  workerPeaksMiB: number[];
}

/** Runs product and bare loop in turn on the same customers, each on a fresh run. */
export async function measureSize(
  ground: BenchGround,
  options: BenchOptions,
  customers: number,
  tell: (text: string) => void,
): Promise<SizeResult> {
  tell(`${customers} customers: writing them, then the bodies of the bare loop`);
  const tenant = await createTenant(ground.db, customers);
  // Before there are workers, so that this run is nobody else's.
  const bodies = await prepareBodies(ground, tenant);
  const [workers, bareProcesses] = await Promise.all([
    ground.startWorkers(options.workers),
    startBareProcesses(ground, bodies, options.workers),
  ]);
  if (options.profile !== undefined) {
    await countStatements(ground);
  }
  const result: SizeResult = {
    customers,
    bodyBytesPerMessage: bodies.bytes / customers,
    rounds: [],
    workerPeaksMiB: [],
  };
  try {
    // The first round warms both up, as processes that run for weeks are, and does not count.
    for (let round = 0; round <= options.rounds; round += 1) {
      const product = await runProduct(ground, tenant, workers);
      const bare = await runBare(ground, tenant, bareProcesses);
      tell(
        `${customers} customers, ${round === 0 ? 'warming up' : `round ${round}`}: product ${Math.round(product.messagesPerSecond)}/s, ` +
          `bare loop ${Math.round(bare.messagesPerSecond)}/s`,
      );
      if (round > 0) {
        result.rounds.push({ product, bare });
      }
    }
    result.workerPeaksMiB = workers.map(({ pid }) => peakMiB(pid));
  } finally {
    await Promise.all([...workers, ...bareProcesses].map((each) => each.stop()));
  }
  return result;
}
