import { ConfigError, loadConfig, type Config } from '../lib/config';
import { watchLaunchers } from './launch/ancestors';
import { holdDataFolder, waitUntil, type DataFolder } from './launch/dataFolder';
import { keepAsking } from './launch/demo/asking';
import { hasModelKeysOfDemoAlone } from './launch/demo/modelKeys';
import { seedDemo } from './launch/demo/seed';
import { parseStartOptions, usage, type StartOptions } from './launch/options';
import { createOutput, type Output } from './launch/output';
import type { Addresses } from './launch/parts';
import { makePlan, planProblems, type Plan } from './launch/plan';
import { loadSecrets } from './launch/secrets';
import { Supervisor } from './launch/supervisor';
import { makeWelcome, showWelcome } from './launch/table';
import { watchSources } from './launch/watchSources';

// A run that was killed needs seconds until its last process has let go of its port, and more of them
// where the machine is busy.
const aftermathMs = 30_000;

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  const config = readConfig();
  const output = createOutput({
    isTerminal: process.stdout.isTTY,
    level: config.LOG_LEVEL,
    write: (text) => process.stdout.write(`${text}\n`),
  });

  const plan = await makePlan(config, options);
  const folder = await holdDataFolder(plan.dataDir);
  process.on('exit', () => folder.release());
  await refuseProblems(plan, folder, output);
  const secrets = loadSecrets(plan.dataDir);

  const supervisor = new Supervisor(plan, secrets, output);
  const isStopping = stopOnSignals(supervisor, output);
  const startedAt = Date.now();
  let addresses: Addresses;
  try {
    addresses = await supervisor.start();
  } catch (error) {
    if (isStopping()) {
      // Whoever stopped us in the middle of the start ends the process when all parts are down.
      return;
    }
    await supervisor.stop();
    throw error;
  }
  output.say('start', `everything runs after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);

  const demo = await seedDemo({ plan, secrets, databaseUrl: addresses.databaseUrl, output });
  showWelcome(output, makeWelcome(plan, demo));
  const isDemo = plan.options.demo && plan.hasSandbox && !plan.hasOwnModelKeys;
  // A real key may have been taken in before, or added by hand.
  const asksForFree = () => hasModelKeysOfDemoAlone(addresses.databaseUrl);
  if (demo?.hasModelKeys === true && isDemo && (await asksForFree())) {
    const { email, password } = demo;
    keepAsking(`http://127.0.0.1:${plan.ports.api}/api/v1`, { email, password });
  }
  if (options.watch) {
    watchSources(() => void supervisor.reload());
  }
}

function readOptions(): StartOptions {
  try {
    return parseStartOptions(process.argv.slice(2));
  } catch (error) {
    fail(`${messageOf(error)}\n\n${usage}`, 2);
  }
}

function readConfig(): Config {
  try {
    return loadConfig();
  } catch (error) {
    fail(error instanceof ConfigError ? error.message : messageOf(error), 2);
  }
}

// All of them at once: nobody wants to find the second one on the next try.
async function refuseProblems(plan: Plan, folder: DataFolder, output: Output): Promise<void> {
  let problems = await planProblems(plan);
  if (problems.length > 0 && folder.wasCutShort) {
    output.say('start', 'the run before this one was killed: waiting for its processes to end');
    await waitUntil(async () => {
      problems = await planProblems(plan);
      return problems.length === 0;
    }, aftermathMs);
  }
  if (problems.length > 0) {
    throw new Error(problems.join('\n'));
  }
}

// Answers whether a stop has begun.
function stopOnSignals(supervisor: Supervisor, output: Output): () => boolean {
  let stoppingSince: number | undefined;
  const stop = (reason: string) => {
    if (stoppingSince !== undefined) {
      // npm and the terminal may both pass on the same key press.
      if (Date.now() - stoppingSince > 1000) {
        supervisor.kill();
        process.exit(130);
      }
      return;
    }
    stoppingSince = Date.now();
    output.say('start', `${reason}: stopping, workers first (once more to kill)`);
    supervisor.stop().then(
      () => process.exit(0),
      (error: unknown) => fail(messageOf(error), 1),
    );
  };
  process.on('SIGINT', () => stop('Ctrl-C'));
  process.on('SIGTERM', () => stop('asked to stop'));
  process.on('SIGHUP', () => stop('the terminal was closed'));
  // Whoever read our output is gone, so nobody would see anything more.
  process.stdout.on('error', () => stop('nobody reads the output'));
  watchLaunchers(() => stop('whoever started this is gone')).catch(() => undefined);
  return () => stoppingSince !== undefined;
}

function fail(message: string, code: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main().catch((error: unknown) => fail(messageOf(error), 1));
