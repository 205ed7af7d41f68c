import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { createCampaignWorkflows } from '../clients/campaigns';
import type { RateLimit } from '../domain/messages/rateLimits';
import { newId } from '../lib/ids';
import { setLimits } from '../models/messages/accountLimits';
import { campaignWorkflowId } from '../workflows/campaigns/messages';
import { insertCampaign, insertCustomers, insertTenant } from '../tests/support/records';
import { startGround, type BenchGround } from './campaign/ground';
import { clearSink } from './campaign/sink';
import { startRun } from './startRun';

interface Scenario {
  limits: RateLimit[];
  customersEach: number;
}

interface Found {
  limit: RateLimit;
  windows: number;
  fullest: number;
  /** Of the windows between the first and the last one. */
  used: number;
}

const lengthMs = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

const scenarios: Scenario[] = [
  { limits: [{ per: 'second', unit: 'messages', most: 100 }], customersEach: 400 },
  { limits: [{ per: 'second', unit: 'calls', most: 20 }], customersEach: 80 },
  {
    limits: [
      { per: 'minute', unit: 'messages', most: 1_200 },
      { per: 'second', unit: 'messages', most: 100 },
    ],
    customersEach: 700,
  },
];

/**
 * Several campaigns of several tenants on one account, sent by several worker processes, against the
 * clock of who receives: how full each window of each limit was. Prints a table and, as its last
 * line, the figures as JSON; fails when a window was passed.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      workers: { type: 'string', default: '3' },
      campaigns: { type: 'string', default: '5' },
    },
  });
  const ground = await startGround(undefined, { worker: 'workers/main.js' });
  const found: Found[] = [];
  try {
    const workers = await ground.startWorkers(Number(values.workers));
    await fetch(`${ground.sandboxUrl}/api/mode`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: '{"mode":"inbox"}',
    });
    for (const scenario of scenarios) {
      found.push(...(await measure(ground, scenario, Number(values.campaigns))));
    }
    await Promise.all(workers.map((worker) => worker.stop()));
  } finally {
    await ground.stop();
  }
  report(found, values);
}

async function measure(
  ground: BenchGround,
  { limits, customersEach }: Scenario,
  campaignCount: number,
): Promise<Found[]> {
  const { db } = ground;
  await db.transaction((trx) => setLimits(trx, 'sendgrid', limits));
  await clearSink(ground.sandboxUrl);
  const campaigns = createCampaignWorkflows(ground.temporal);
  const started = await Promise.all(
    Array.from({ length: campaignCount }, async () => {
      const tenantId = await insertTenant(db);
      await insertCustomers(
        db,
        tenantId,
        // Calls are counted one by one where each customer has a zone of their own.
        Array.from({ length: customersEach }, (_, i) => ({
          email: `${newId()}@example.com`,
          timeZone:
            limits[0]?.unit === 'calls' ? (zones[i % zones.length] ?? null) : 'Europe/Paris',
        })),
      );
      const campaignId = await insertCampaign(db, tenantId);
      await startRun(
        { db, campaigns },
        { tenantId, campaignId, name: 'Rates' },
        { schedule: { kind: 'now' } },
      );
      return campaignWorkflowId(tenantId, campaignId);
    }),
  );
  await Promise.all(started.map((id) => ground.temporal.client.workflow.getHandle(id).result()));
  const arrivals = await readArrivals(ground);
  const messages = arrivals.reduce((sum, call) => sum + call.recipients, 0);
  if (messages !== campaignCount * customersEach) {
    throw new Error(`${messages} messages arrived of ${campaignCount * customersEach}`);
  }
  return limits.map((limit) => fill(limit, arrivals));
}

const zones = Intl.supportedValuesOf('timeZone');

interface Arrival {
  atMs: number;
  recipients: number;
}

async function readArrivals(ground: BenchGround): Promise<Arrival[]> {
  const answer = await fetch(`${ground.sandboxUrl}/api/calls?limit=10000`);
  const { items }: { items: { receivedAt: string; recipients: number }[] } = JSON.parse(
    await answer.text(),
  );
  return items.map((call) => ({ atMs: Date.parse(call.receivedAt), recipients: call.recipients }));
}

function fill(limit: RateLimit, arrivals: Arrival[]): Found {
  const counts = new Map<number, number>();
  for (const { atMs, recipients } of arrivals) {
    const window = Math.floor(atMs / lengthMs[limit.per]);
    const cost = limit.unit === 'calls' ? 1 : recipients;
    counts.set(window, (counts.get(window) ?? 0) + cost);
  }
  const first = Math.min(...counts.keys());
  const last = Math.max(...counts.keys());
  const whole = [...counts].filter(([window]) => window > first && window < last);
  const windows = last - first - 1;
  const used = whole.reduce((sum, [, count]) => sum + count, 0) / Math.max(windows, 1) / limit.most;
  return { limit, windows, fullest: Math.max(...counts.values()), used };
}

function report(found: Found[], { workers, campaigns }: Record<string, string>): void {
  const table = new Table({
    head: ['limit', 'whole windows', 'fullest window', 'used while there was work'],
  });
  for (const { limit, windows, fullest, used } of found) {
    table.push([
      `${limit.most} ${limit.unit} per ${limit.per}`,
      windows,
      fullest,
      `${(used * 100).toFixed(1)} %`,
    ]);
  }
  process.stdout.write(
    `${campaigns} campaigns on one account, ${workers} worker processes; windows by arrival at the sandbox\n` +
      `${table.toString()}\n`,
  );
  process.stdout.write(
    `${JSON.stringify({
      limits: found.map(({ limit, windows, fullest, used }) => ({
        per: limit.per,
        unit: limit.unit,
        most: limit.most,
        windows,
        fullest,
        used: Math.round(used * 1000) / 1000,
      })),
      passed: found.filter(({ limit, fullest }) => fullest > limit.most).length,
    })}\n`,
  );
  process.exitCode = found.every(({ limit, fullest }) => fullest <= limit.most) ? 0 : 1;
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
