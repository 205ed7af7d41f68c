import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { plannedLanes } from '../../domain/campaigns/lanes';
import { workerNodeFlags } from '../../workers/launch/ourScript';
import type { BareReport } from './bare';
import type { BareClient } from './bareClients';
import type { OneByOneOrder } from './bareOneByOne';
import { createTenant, type BenchTenant } from './customers';
import { startProcess, type BenchGround, type BenchProcess } from './ground';
import { startSink, type OneByOneSink, type Wire } from './oneByOneSinks';
import { runProduct, type ProductRun } from './product';
import { writePlannedRun } from './runs';
import { ShortTurns } from './shortTurns';
import { countStatements, writeStatements } from './statements';
import { clearSink, readSink } from './sink';

/** One call for each message over one wire, beside the bare loop that renders, too. */
export interface OneByOneResult {
  wire: Wire;
  client: BareClient;
  messages: number;
  rounds: OneByOneRound[];
}

interface OneByOneRound {
  product: ProductRun;
  barePerSecond: number;
}

interface OneByOneOptions {
  messages: number;
  workers: number;
  rounds: number;
  wires: readonly Wire[];
  /** Where to write what statements cost in each round, of both sides; not given, nobody counts them. */
  profile: string | undefined;
}

/** Both sides of a wire, each with its processes and the vendor that it calls. */
interface Sides {
  tenant: BenchTenant;
  product: { processes: BenchProcess[]; sink: OneByOneSink };
  bare: { processes: BenchProcess[]; sink: OneByOneSink };
}

/**
 * What the bare loop calls by. SendGrid's library opens a connection for each call where nobody gives
 * it others. To mail servers by both: the product has a client of its own around nodemailer's protocol.
 */
const clients: Record<Wire, readonly BareClient[]> = {
  json: ['product'],
  smtp: ['library', 'product'],
};

export const clientNames: Record<BareClient, string> = {
  library: "the library's client",
  product: "the product's client",
};

const slotsOfWorker = 100;
const lookEveryMs = 100;

/** Sends the same campaign one call a message, by HTTP and by SMTP, in turn with the bare loop. */
export async function measureOneByOne(
  ground: BenchGround,
  options: OneByOneOptions,
  tell: (text: string) => void,
): Promise<OneByOneResult[]> {
  const results: OneByOneResult[] = [];
  for (const wire of options.wires) {
    tell(`one by one over ${wire}: ${options.messages} customers`);
    results.push(...(await measureWire(ground, wire, options, tell)));
  }
  return results;
}

async function measureWire(
  ground: BenchGround,
  wire: Wire,
  { messages, workers: count, rounds, profile }: OneByOneOptions,
  tell: (text: string) => void,
): Promise<OneByOneResult[]> {
  const tenant = await createTenant(ground.db, messages);
  const bareSink = await startSink(ground, tenant, wire);
  // The default account of the tenant is the one opened last.
  const productSink = await startSink(ground, tenant, wire);
  const [workers, bare] = await Promise.all([ground.startWorkers(count), startBare(ground, count)]);
  const sides: Sides = {
    tenant,
    product: { processes: workers, sink: productSink },
    bare: { processes: bare, sink: bareSink },
  };
  const takeRounds = async (client: BareClient, isWarm: boolean): Promise<OneByOneResult> => {
    const result: OneByOneResult = { wire, client, messages, rounds: [] };
    for (let round = isWarm ? 1 : 0; round <= rounds; round += 1) {
      if (profile !== undefined) {
        await countStatements(ground);
      }
      const { product, barePerSecond } = await runBoth(ground, sides, client);
      if (profile !== undefined) {
        await writeStatements(ground, path.join(profile, `${wire}-${client}-${round}`));
      }
      tell(
        `  ${round === 0 ? 'warming up' : `round ${round}`}: product ` +
          `${Math.round(product.messagesPerSecond)}/s, bare loop by ${clientNames[client]} ` +
          `${Math.round(barePerSecond)}/s`,
      );
      if (round > 0) {
        result.rounds.push({ product, barePerSecond });
      }
    }
    return result;
  };
  const results: OneByOneResult[] = [];
  try {
    for (const client of clients[wire]) {
      results.push(await takeRounds(client, results.length > 0));
    }
  } finally {
    await Promise.all([...workers, ...bare, productSink, bareSink].map((each) => each.stop()));
  }
  return results;
}

/** Both send the same number of messages, each to its own vendor, by short turns. */
async function runBoth(
  ground: BenchGround,
  sides: Sides,
  client: BareClient,
): Promise<OneByOneRound> {
  const { tenant, product, bare } = sides;
  const planned = await writePlannedRun(ground.db, tenant, { isEnded: true });
  await Promise.all([clearSink(product.sink.url), clearSink(bare.sink.url)]);
  const turns = new ShortTurns({
    product: product.processes.map(({ pid }) => pid),
    bare: bare.processes.map(({ pid }) => pid),
  });
  const sendProduct = () =>
    runProduct(ground, tenant, product.processes, {
      sinkUrl: product.sink.url,
      secondsOf: (sink) => turns.secondsOf('product', sink),
      onEnd: () => turns.stop(),
    });
  const sendBare = async (): Promise<number> => {
    await firstCall(product.sink.url);
    turns.begin();
    const { accountId } = bare.sink;
    const sent = await sendRun(bare.processes, planned, { accountId, client });
    turns.stop();
    const sink = await readSink(bare.sink.url);
    if (sink.messages !== planned.plan.planned || sent !== planned.plan.planned) {
      throw new Error(
        `The bare loop planned ${planned.plan.planned}, sent ${sent}, ${sink.messages} arrived`,
      );
    }
    return sink.messages / turns.secondsOf('bare', sink);
  };
  try {
    const [run, barePerSecond] = await Promise.all([sendProduct(), sendBare()]);
    return { product: run, barePerSecond };
  } finally {
    turns.stop();
  }
}

const mostPlanningMs = 120_000;

/** Resolves when the product, which plans first, has begun to call. */
async function firstCall(sinkUrl: string): Promise<void> {
  const deadlineMs = Date.now() + mostPlanningMs;
  while ((await readSink(sinkUrl)).messages === 0) {
    if (Date.now() > deadlineMs) {
      throw new Error('The product has not begun to call');
    }
    await wait(lookEveryMs);
  }
}

/** Has the bare loop send a planned run, with as many lanes as the product has; answers how many it sent. */
async function sendRun(
  processes: BenchProcess[],
  { run, plan }: Awaited<ReturnType<typeof writePlannedRun>>,
  by: Pick<OneByOneOrder, 'accountId' | 'client'>,
): Promise<number> {
  const lanes = plan.waves.reduce((sum, wave) => sum + plannedLanes(wave), 0);
  const lanesEach = Math.min(Math.ceil(lanes / processes.length), slotsOfWorker);
  const { tenantId, id: runId } = run;
  const order: OneByOneOrder = { tenantId, runId, ...by, lanes: lanesEach };
  const reports = await Promise.all(
    processes.map(async ({ child }) => {
      const answered = once(child, 'message');
      child.send(order);
      const [report]: BareReport[] = await answered;
      return report?.messages ?? 0;
    }),
  );
  return reports.reduce((sum, messages) => sum + messages, 0);
}

function startBare(ground: BenchGround, count: number): Promise<BenchProcess[]> {
  const args = [
    ...workerNodeFlags,
    path.join(ground.dist, 'bench/campaign/bareOneByOne.js'),
    ground.databaseUrl,
  ];
  return Promise.all(
    Array.from({ length: count }, async () => {
      const bare = await startProcess(args, {}, null);
      await once(bare.child, 'message');
      return bare;
    }),
  );
}
