import { parseArgs } from 'node:util';
import { startLlmGround, type LlmGround } from './llm/ground';
import { measureOverHttp } from './llm/overHttp';
import { report, type Singles } from './llm/report';
import { runScenario, type Ran } from './llm/runScenario';
import { scenarios, type Scenario } from './llm/scenarios';
import { answerMs } from './llm/vendor';

const FIGURES = 'figures';
// Of 300 the 95th percentile moves by a millisecond from run to run: fifteen calls make it.
const overheadRounds = 1_000;
const tell = (text: string) => process.stderr.write(`${text}\n`);

/**
 * The gateway as a library over six keys of two accounts, at 200 requests a second and with everything
 * going wrong that can: what callers got, what the vendor was asked, and what the gateway costs.
 * Prints tables and, as its last line, the figures as JSON; ends with 1 when a bar is missed.
 */
async function main(): Promise<void> {
  const only = readOnly();
  const chosen = scenarios.filter(({ name }) => only === null || only.has(name));
  tell('starting Postgres, Temporal and the stand-in, compiling the product');
  const ground = await startLlmGround();
  try {
    const ran: Ran[] = [];
    const singles = only === null || only.has(FIGURES) ? await measureSingles(ground) : null;
    for (const scenario of chosen) {
      tell(scenario.title);
      ran.push(await runWithWorker(ground, scenario));
    }
    process.exitCode = report(ran, singles) ? 0 : 1;
  } finally {
    await ground.stop();
  }
}

async function runWithWorker(ground: LlmGround, scenario: Scenario): Promise<Ran> {
  if (!scenario.needsKeyrings) {
    return runScenario(ground, scenario);
  }
  const worker = await ground.startKeyrings();
  try {
    return await runScenario(ground, scenario);
  } finally {
    await worker.stop();
  }
}

async function measureSingles(ground: LlmGround): Promise<Singles> {
  const { vendor } = ground;
  await vendor.reset();
  await ground.heal();
  const [gateway] = await ground.startGateways(1);
  if (!gateway) {
    throw new Error('no process was started');
  }
  try {
    tell('one at a time');
    const { overhead } = await gateway.run({
      do: 'overhead',
      rounds: overheadRounds,
      isStream: false,
    });
    const firstToken = await gateway.run({
      do: 'overhead',
      rounds: overheadRounds,
      isStream: true,
    });
    tell('as many as one process carries');
    const throughput: Singles['throughput'] = [];
    for (const { parallel, thinkMs } of [
      { parallel: 8, thinkMs: 0 },
      { parallel: 64, thinkMs: 0 },
      { parallel: 64, thinkMs: answerMs },
    ]) {
      await vendor.reset(thinkMs);
      const { perSecond, failed, rssMb } = await gateway.run({
        do: 'throughput',
        parallel,
        seconds: 5,
      });
      const name = `one process, ${parallel} at once, answers in ${thinkMs} ms`;
      throughput.push({ name, perSecond, failed, rssMb });
    }
    tell('choosing a key');
    const { micros } = await gateway.run({ do: 'choose', rounds: 200_000 });
    tell('news of a key');
    const { tookMs } = await gateway.run({ do: 'news', rounds: 50 });
    await vendor.reset();
    tell('over HTTP');
    const overHttp = await measureOverHttp(ground, 5);
    return {
      choose: micros,
      news: tookMs,
      overhead,
      firstToken: firstToken.overhead,
      throughput,
      overHttp,
    };
  } finally {
    await gateway.stop();
  }
}

// `--only fiveDead,figures`; null for all.
function readOnly(): Set<string> | null {
  const { values } = parseArgs({ options: { only: { type: 'string' } } });
  if (values.only === undefined) {
    return null;
  }
  const names = new Set(values.only.split(',').map((name) => name.trim()));
  const known = new Set([...scenarios.map(({ name }) => name), FIGURES]);
  const unknown = [...names].filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new Error(`--only knows ${[...known].join(', ')}, and not ${unknown.join(', ')}`);
  }
  return names;
}

main().catch((error: unknown) => {
  tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
});
