/**
 * Sends a campaign over each channel at once while their processes are killed and the providers
 * misbehave, then counts what the providers really took: everybody exactly once, or listed as in doubt.
 */
import Table from 'cli-table3';
import { openAccount, type Route } from './accounts';
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
  campaigns: { campaign: FiredCampaign; state: string; tally: Tally }[];
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
    const isExact = outcome.campaigns.every(
      ({ tally: { lost, duplicated, countersMatch, problems } }) =>
        lost === 0 && duplicated === 0 && countersMatch && problems.length === 0,
    );
    process.exitCode = isExact ? 0 : 1;
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
  const { eventsLateMs } = options;
  await setSandboxFaults(
    ground.sandboxUrl,
    faultPlan(options.seed, options.faults, { eventsLateMs }),
  );
  const written = [];
  for (const [route, customers] of sharesOf(options.customers, options.routes)) {
    const campaign = await writeCampaign(ground, customers, { route });
    await openAccount(ground, campaign.tenantId, route);
    written.push({ ...campaign, customers });
  }
  const startedAt = Date.now();
  const campaigns = await Promise.all(
    written.map((campaign) =>
      fireCampaign(ground, {
        ...campaign,
        // A mail server tells nothing afterwards, so nobody could know what sending again would do.
        doubtPolicy: campaign.route === 'smtp' ? 'hold' : options.doubtPolicy,
        doubtDeadlineMs: options.doubtDeadlineMs,
      }),
    ),
  );
  say(`sending to ${options.customers} customers by ${options.routes.join(', ')}`);
  const kills = planKills({
    seed: options.seed,
    workers: options.kills,
    others: options.kills === 0 ? [] : ['api', 'api', 'temporal', 'postgres'],
  });
  const killed = await storm(ground, options.customers, kills, {
    deadlineAt,
    onKill: ({ name, atMs, delivered }) =>
      say(`${(atMs / 1000).toFixed(1)} s: kill -9 ${name}, ${delivered} delivered`),
  });
  say('no more kills; waiting for the runs to end');
  const states = await Promise.all(campaigns.map((campaign) => calm(ground, campaign, deadlineAt)));
  const seconds = (Date.now() - startedAt) / 1000;
  const outcome: Outcome = { killed, campaigns: [], seconds };
  for (const [index, campaign] of campaigns.entries()) {
    const state = states[index] ?? 'unknown';
    outcome.campaigns.push({ campaign, state, tally: await tally(ground, campaign) });
  }
  return outcome;
}

// A mail server carries a fraction of what the others do over its few connections.
const weights: Record<Route, number> = { sendgrid: 10, smtp: 1, twilio: 4, meta: 5 };

/** So many customers for each route, in all as many as were asked for. */
function sharesOf(customers: number, over: readonly Route[]): Map<Route, number> {
  const all = over.reduce((sum, route) => sum + weights[route], 0);
  const shares = new Map(
    over.map((route) => [route, Math.floor((customers * weights[route]) / all)]),
  );
  const rest = customers - [...shares.values()].reduce((sum, share) => sum + share, 0);
  const [first] = over;
  if (first !== undefined) {
    shares.set(first, (shares.get(first) ?? 0) + rest);
  }
  return shares;
}

function report(options: ChaosOptions, { killed, campaigns, seconds }: Outcome): void {
  const of = (victim: Killed['victim']) => killed.filter((kill) => kill.victim === victim).length;
  print(
    `${options.customers} customers; kill -9: ${of('worker')} of workers, ${of('api')} of the API, ` +
      `${of('temporal')} of Temporal, ${of('postgres')} of Postgres; faults of the providers: ` +
      `${options.faults.join(', ') || 'none'}; events late by ${options.eventsLateMs / 1000} s; ` +
      `${seconds.toFixed(0)} s`,
  );
  const table = new Table({
    head: ['by', 'ended as', 'customers', 'taken', 'lost', 'doubled', 'in doubt', 'counters match'],
    style: { head: [], border: [] },
  });
  for (const { campaign, state, tally: found } of campaigns) {
    table.push([
      campaign.route,
      state,
      campaign.customers,
      found.sent,
      found.lost,
      found.duplicated,
      found.inDoubtOpen,
      found.countersMatch ? 'yes' : 'NO',
    ]);
  }
  print(table.toString());
  for (const { campaign, tally: found } of campaigns) {
    for (const [doubt, calls] of doubtsByReason(found.doubts)) {
      print(`${campaign.route}: ${calls} messages ${doubt}`);
    }
    for (const problem of found.problems) {
      print(`${campaign.route}: problem: ${problem}`);
    }
  }
  const sum = (count: (found: Tally) => number) =>
    campaigns.reduce((total, { tally: found }) => total + count(found), 0);
  print(
    JSON.stringify({
      seed: options.seed,
      kills: killed.length,
      sent: sum((found) => found.sent),
      lost: sum((found) => found.lost),
      duplicated: sum((found) => found.duplicated),
      inDoubtOpen: sum((found) => found.inDoubtOpen),
      countersMatch: campaigns.every(({ tally: found }) => found.countersMatch),
    }),
  );
}

function doubtsByReason(doubts: Tally['doubts']): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { state, reason, messages } of doubts) {
    const kind = `${state}: ${reason ?? 'no reason'}`;
    counts.set(kind, (counts.get(kind) ?? 0) + messages);
  }
  return counts;
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
