/**
 * Sends one campaign while its processes are killed and the provider misbehaves, then counts what the
 * provider really took: everybody exactly once, or listed as in doubt.
 */
import Table from 'cli-table3';
import { fireCampaign, writeCampaign, type FiredCampaign } from './campaign';
import { startProcessGround, type ProcessGround } from './ground';
import { parseChaosOptions, type ChaosOptions } from './options';
import { faultPlan, planKills } from './plan';
import { setSandboxFaults } from './sandboxFigures';
import { calm, storm, type Killed } from './storm';
import { tally, type Tally } from './tally';

const timings = { leaseMs: 6_000, providerTimeoutMs: 2_500, sliceMs: 5_000, restartAfterMs: 300 };

interface Outcome {
  killed: Killed[];
  state: string;
  tally: Tally;
  seconds: number;
}

async function main(): Promise<void> {
  const options = parseChaosOptions(process.argv.slice(2));
  const deadlineAt = Date.now() + options.limitMs;
  say(`starting ${options.workers} workers, API, sandbox, Temporal and Postgres`);
  const ground = await startProcessGround({
    ...timings,
    workers: options.workers,
    seed: options.seed,
    keep: options.keep,
  });
  try {
    const outcome = await run(ground, options, deadlineAt);
    report(options, outcome);
    const { lost, duplicated, countersMatch, problems } = outcome.tally;
    if (lost > 0 || duplicated > 0 || !countersMatch || problems.length > 0) {
      process.exitCode = 1;
    }
  } finally {
    await ground.stop();
    if (options.keep) {
      say(`logs and data are kept in ${ground.folder}`);
    }
  }
}

async function run(
  ground: ProcessGround,
  options: ChaosOptions,
  deadlineAt: number,
): Promise<Outcome> {
  await setSandboxFaults(ground.sandboxUrl, faultPlan(options.seed, options.faults));
  const written = await writeCampaign(ground, options.customers);
  const startedAt = Date.now();
  const campaign: FiredCampaign = await fireCampaign(ground, {
    ...written,
    customers: options.customers,
    doubtPolicy: options.doubtPolicy,
    doubtDeadlineMs: options.doubtDeadlineMs,
  });
  say(`sending to ${options.customers} customers`);
  const kills = planKills({
    seed: options.seed,
    workers: options.kills,
    others: options.kills === 0 ? [] : ['api', 'api', 'temporal', 'postgres'],
  });
  const killed = await storm(ground, campaign, kills, {
    deadlineAt,
    onKill: ({ name, atMs, delivered }) =>
      say(`${(atMs / 1000).toFixed(1)} s: kill -9 ${name}, ${delivered} delivered`),
  });
  say('no more kills; waiting for the run to end');
  const state = await calm(ground, campaign, deadlineAt);
  const seconds = (Date.now() - startedAt) / 1000;
  return { killed, state, seconds, tally: await tally(ground, campaign) };
}

function report(options: ChaosOptions, { killed, state, tally: found, seconds }: Outcome): void {
  const of = (victim: Killed['victim']) => killed.filter((kill) => kill.victim === victim).length;
  const table = new Table({ style: { head: [], border: [] } });
  table.push(
    ['customers', options.customers],
    ['faults of the provider', options.faults.join(', ') || 'none'],
    ['kill -9 of a worker', of('worker')],
    ['kill -9 of the API', of('api')],
    ['kill -9 of Temporal', of('temporal')],
    ['kill -9 of Postgres', of('postgres')],
    ['the run ended as', `${state} after ${seconds.toFixed(0)} s`],
    ['messages the provider took', found.sent],
    ['lost', found.lost],
    ['duplicated', found.duplicated],
    ['in doubt to the end', found.inDoubtOpen],
    ['counters match a recount', found.countersMatch ? 'yes' : 'no'],
  );
  print(table.toString());
  for (const { n, state: doubt, attempt, messages, reason } of found.doubts) {
    print(`call ${n}.${attempt}: ${doubt}, ${messages} messages, ${reason ?? 'no reason'}`);
  }
  for (const problem of found.problems) {
    print(`problem: ${problem}`);
  }
  print(
    JSON.stringify({
      seed: options.seed,
      kills: killed.length,
      sent: found.sent,
      lost: found.lost,
      duplicated: found.duplicated,
      inDoubtOpen: found.inDoubtOpen,
      countersMatch: found.countersMatch,
    }),
  );
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

main().catch((error: unknown) => {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
});
