import { once } from 'node:events';
import path from 'node:path';
import { plannedLanes } from '../../domain/campaigns/lanes';
import { workerNodeFlags } from '../../workers/launch/ourScript';
import type { BenchTenant } from './customers';
import { apiKey } from './content';
import { startProcess, type BenchGround, type BenchProcess } from './ground';
import type { PreparedBodies } from './prepareBodies';
import { writePlannedRun } from './runs';
import { clearSink, readSink, secondsBetween } from './sink';

/** What a bare process is told: send this run. */
export interface BareOrder {
  runId: string;
  lanes: number;
}

/** What it answers when nothing is left to claim. */
export interface BareReport {
  kind: 'done';
  dispatches: number;
  messages: number;
}

export interface BareRun {
  messages: number;
  messagesPerSecond: number;
}

// What workers/worker.ts gives each process for slices.
const slotsOfWorker = 100;

/** Starts the processes of the bare loop and resolves when each holds all bodies in memory. */
export function startBareProcesses(
  ground: BenchGround,
  bodies: PreparedBodies,
  count: number,
): Promise<BenchProcess[]> {
  const args = [
    ...workerNodeFlags,
    path.join(ground.dist, 'bench/campaign/bareLoop.js'),
    ground.databaseUrl,
    ground.sandboxUrl,
    bodies.file,
    bodies.indexFile,
    apiKey,
  ];
  return Promise.all(
    Array.from({ length: count }, async () => {
      const bare = await startProcess(args, {}, null);
      await once(bare.child, 'message');
      return bare;
    }),
  );
}

/** Plans a fresh run as the product does and lets the bare loop send it, with as many lanes as the product has. */
export async function runBare(
  ground: BenchGround,
  tenant: BenchTenant,
  processes: BenchProcess[],
): Promise<BareRun> {
  await ground.db.raw('checkpoint');
  const { run, plan } = await writePlannedRun(ground.db, tenant, { isEnded: true });
  await clearSink(ground.sandboxUrl);
  const lanes = plan.waves.reduce((sum, wave) => sum + plannedLanes(wave), 0);
  const lanesEach = Math.min(Math.ceil(lanes / processes.length), slotsOfWorker);
  const reports = await Promise.all(
    processes.map(async ({ child }) => {
      const answered = once(child, 'message');
      child.send({ runId: run.id, lanes: lanesEach } satisfies BareOrder);
      const [report]: BareReport[] = await answered;
      return report?.messages ?? 0;
    }),
  );
  const sink = await readSink(ground.sandboxUrl);
  const selected = reports.reduce((sum, messages) => sum + messages, 0);
  if (sink.messages !== plan.planned || selected !== plan.planned) {
    throw new Error(
      `The bare loop planned ${plan.planned}, selected ${selected}, posted ${sink.messages}`,
    );
  }
  return { messages: sink.messages, messagesPerSecond: sink.messages / secondsBetween(sink) };
}
