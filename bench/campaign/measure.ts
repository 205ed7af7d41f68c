import path from 'node:path';
import { runBare, startBareProcesses, type BareRun } from './bare';
import { createTenant } from './customers';
import type { BenchGround, BenchProcess } from './ground';
import type { BenchOptions } from './options';
import { prepareBodies } from './prepareBodies';
import { countStatements, writeStatements } from './statements';
import { runProduct, type ProductRun } from './product';

/** All that was measured with one number of customers. */
export interface SizeResult {
  customers: number;
  bodyBytesPerMessage: number;
  rounds: Round[];
  /** The same with bodies that were rendered beforehand; none when it was not asked for. */
  preRendered: Round[];
}

export interface Round {
  product: ProductRun;
  bare: BareRun;
}

/** Runs product and bare loop in turn on the same customers, each on a fresh run. */
export async function measureSize(
  ground: BenchGround,
  options: BenchOptions & { isPreRendered: boolean },
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
    preRendered: [],
  };
  const takeTurns = async (
    name: string,
    sending: BenchProcess[],
    bare: BenchProcess[],
  ): Promise<Round[]> => {
    const rounds: Round[] = [];
    // The first round warms both up, as processes that run for weeks are, and does not count.
    for (let round = 0; round <= options.rounds; round += 1) {
      const product = await runProduct(ground, tenant, sending);
      const bareRun = await runBare(ground, tenant, bare);
      tell(
        `${customers} customers${name}, ${round === 0 ? 'warming up' : `round ${round}`}: product ` +
          `${Math.round(product.messagesPerSecond)}/s, bare loop ${Math.round(bareRun.messagesPerSecond)}/s`,
      );
      if (round > 0) {
        rounds.push({ product, bare: bareRun });
      }
    }
    return rounds;
  };
  try {
    result.rounds = await takeTurns('', workers, bareProcesses);
    await Promise.all(workers.map((each) => each.stop()));
    if (options.isPreRendered) {
      const prepared = await ground.startWorkers(options.workers, [
        `--bodies=${bodies.file}`,
        `--body-index=${bodies.indexFile}`,
        `--post-to=${ground.sandboxUrl}`,
      ]);
      try {
        result.preRendered = await takeTurns(', rendered before', prepared, bareProcesses);
      } finally {
        await Promise.all(prepared.map((each) => each.stop()));
      }
    }
    if (options.profile !== undefined) {
      await writeStatements(ground, path.join(options.profile, String(customers)));
    }
  } finally {
    await Promise.all([...workers, ...bareProcesses].map((each) => each.stop()));
  }
  return result;
}
