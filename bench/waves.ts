import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { createCampaignWorkflows } from '../clients/campaigns';
import type { CampaignRun } from '../models/campaigns/runs';
import { campaignWorkflowId } from '../workflows/campaigns/messages';
import { insertCampaign, insertCustomers, insertTenant } from '../tests/support/records';
import { startGround, type BenchGround } from './campaign/ground';
import { startRun } from './startRun';

interface Round {
  waves: number;
  /** Milliseconds from the instant to each wave's first call, shortest first. */
  delaysMs: number[];
  outsideWindow: number;
}

const leadMs = 6_000;
const barMs = 1_000;

/**
 * How soon the waves of one instant make their first calls: campaigns of one wave each, scheduled
 * for the same instant, through the whole product to the sandbox. Prints a table and, as its last
 * line, the figures as JSON; fails when a call left outside its window.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      waves: { type: 'string', default: '40' },
      workers: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const ground = await startGround(undefined, { worker: 'workers/main.js' });
  const rounds: Round[] = [];
  try {
    await fetch(`${ground.sandboxUrl}/api/mode`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: '{"mode":"inbox"}',
    });
    const workers = await ground.startWorkers(Number(values.workers));
    // The first round warms the workers up, as any worker is that has run for a minute.
    for (let round = 0; round <= Number(values.rounds); round += 1) {
      const found = await sendAtOneInstant(ground, Number(values.waves));
      if (round > 0) {
        rounds.push(found);
      }
    }
    await Promise.all(workers.map((worker) => worker.stop()));
  } finally {
    await ground.stop();
  }
  report(rounds, Number(values.workers));
}

async function sendAtOneInstant(ground: BenchGround, waves: number): Promise<Round> {
  const { db } = ground;
  const campaigns = createCampaignWorkflows(ground.temporal);
  const tenantId = await insertTenant(db);
  await insertCustomers(
    db,
    tenantId,
    Array.from({ length: 20 }, (_, i) => ({
      email: `${tenantId}-${i}@example.com`,
      timeZone: 'Europe/Paris',
    })),
  );
  const startsAt = new Date(Date.now() + leadMs);
  const runs: CampaignRun[] = [];
  for (let wave = 0; wave < waves; wave += 1) {
    const campaignId = await insertCampaign(db, tenantId);
    const run = await startRun(
      { db, campaigns },
      { tenantId, campaignId, name: 'Waves' },
      { schedule: { kind: 'instant', at: startsAt.toISOString() } },
    );
    runs.push(run);
  }
  await sleep(Math.max(startsAt.getTime() - Date.now(), 0));
  await Promise.all(
    runs.map((run) =>
      ground.temporal.client.workflow
        .getHandle(campaignWorkflowId(tenantId, run.campaignId))
        .result(),
    ),
  );
  const firstCalls = await firstCallOf(ground);
  const delaysMs = runs
    .map((run) => (firstCalls.get(run.id) ?? Number.POSITIVE_INFINITY) - startsAt.getTime())
    .sort((a, b) => a - b);
  const windows = await db('waves').whereIn(
    'run_id',
    runs.map((run) => run.id),
  );
  const outsideWindow = windows.filter((wave) => {
    const at = firstCalls.get(wave.run_id) ?? Number.NaN;
    return !(at >= wave.starts_at.getTime() && at <= wave.closes_at.getTime());
  }).length;
  return { waves, delaysMs, outsideWindow };
}

/** When the sandbox received each run's first call, by run. */
async function firstCallOf(ground: BenchGround): Promise<Map<string, number>> {
  const answer = await fetch(`${ground.sandboxUrl}/api/calls?limit=1000`);
  const { items }: { items: { receivedAt: string; customArgs: Record<string, string> }[] } =
    JSON.parse(await answer.text());
  await fetch(`${ground.sandboxUrl}/api/messages`, { method: 'DELETE' });
  const first = new Map<string, number>();
  for (const call of items) {
    const runId = call.customArgs['carillon_r'] ?? '';
    const atMs = Date.parse(call.receivedAt);
    first.set(runId, Math.min(first.get(runId) ?? atMs, atMs));
  }
  return first;
}

function report(rounds: Round[], workers: number): void {
  const table = new Table({
    head: ['round', 'waves', 'first ms', 'median ms', 'last ms', 'outside window', '≤ 1 s'],
  });
  rounds.forEach(({ waves, delaysMs, outsideWindow }, i) => {
    const last = delaysMs.at(-1) ?? 0;
    table.push([
      i + 1,
      waves,
      delaysMs[0] ?? 0,
      delaysMs[Math.floor(delaysMs.length / 2)] ?? 0,
      last,
      outsideWindow,
      last <= barMs ? 'yes' : 'NO',
    ]);
  });
  const delays = rounds.flatMap((round) => round.delaysMs);
  const outsideWindow = rounds.reduce((sum, round) => sum + round.outsideWindow, 0);
  process.stdout.write(
    `First calls of waves that share one instant; ${workers} worker processes, Node ${process.versions.node}\n` +
      `${table.toString()}\n`,
  );
  process.stdout.write(
    `${JSON.stringify({
      waves: rounds[0]?.waves ?? 0,
      firstCallMs: Math.min(...delays),
      lastFirstCallMs: Math.max(...delays),
      outsideWindow,
    })}\n`,
  );
  process.exitCode = outsideWindow === 0 ? 0 : 1;
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
