import { inspect } from 'node:util';
import { ServiceError, type WorkflowHandle } from '@temporalio/client';
import { withTenant } from '../../models/base';
import { createCampaignWorkflows } from '../../clients/campaigns';
import { getRun, markWorkflowStarted } from '../../models/campaigns/runs';
import { countRun } from '../../models/messages/counts';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { waveCount, type BenchTenant } from './customers';
import { newsletter } from './content';
import type { BenchGround, BenchProcess } from './ground';
import { countHistory } from './history';
import { cpuSeconds, forgetPeak, peakMiB } from './processes';
import { writeRun } from './runs';
import { clearSink, readSink, secondsBetween, type SinkFigures } from './sink';

export interface ProductRun {
  planned: number;
  accepted: number;
  /** What the sink received; equal to both above, or something was lost or doubled. */
  received: number;
  calls: number;
  messagesPerSecond: number;
  /** From the schedule to the sealed ledger. */
  planningSeconds: number;
  waves: number;
  historyEvents: number;
  databaseBytesPerMessage: number;
  /** Of the worker that held the most at once. */
  workerPeakMiB: number;
  /** CPU seconds while it ran, planning included. */
  cpu: { workers: number; postgres: number; temporal: number; sandbox: number };
}

interface ProductRunOptions {
  /** Whose figures count; the sandbox's when not given. */
  sinkUrl?: string;
  /** How long it sent, by what arrived. */
  secondsOf?: (sink: SinkFigures) => number;
  /** Is told when the workflow has ended, before anything is counted. */
  onEnd?: () => void;
}

/** Sends the campaign as a customer's would be: a run in the records, then its workflow to its end. */
export async function runProduct(
  ground: BenchGround,
  tenant: BenchTenant,
  workers: BenchProcess[],
  { sinkUrl = ground.sandboxUrl, secondsOf = secondsBetween, onEnd }: ProductRunOptions = {},
): Promise<ProductRun> {
  const { db, temporal } = ground;
  await db.raw('checkpoint');
  await clearSink(sinkUrl);
  const bytesBefore = await ledgerBytes(ground);
  const cpuBefore = cpuNow(ground, workers);
  workers.forEach(({ pid }) => forgetPeak(pid));
  const run = await writeRun(db, tenant);
  await createCampaignWorkflows(temporal).startCampaign({ ...run, name: newsletter.subject });
  await withTenant(db, tenant.tenantId, (trx) => markWorkflowStarted(trx, tenant.tenantId, run.id));
  await endOf(
    temporal.client.workflow.getHandle(campaignWorkflowId(tenant.tenantId, run.campaignId)),
  );

  onEnd?.();
  const cpuAfter = cpuNow(ground, workers);
  const sink = await readSink(sinkUrl);
  const counts = await withTenant(db, tenant.tenantId, (trx) =>
    countRun(trx, tenant.tenantId, run.id),
  );
  const ended = await withTenant(db, tenant.tenantId, (trx) =>
    getRun(trx, tenant.tenantId, run.id),
  );
  const waves = await db('waves').where({ run_id: run.id }).count({ n: '*' }).first();
  return {
    planned: counts.planned,
    accepted: counts.accepted,
    received: sink.messages,
    calls: sink.calls,
    messagesPerSecond: sink.messages / secondsOf(sink),
    planningSeconds:
      ((ended.planSealedAt ?? ended.createdAt).getTime() - ended.createdAt.getTime()) / 1000,
    waves: Number(waves?.n ?? 0),
    // The campaign, its run and the waves.
    historyEvents: await countHistory(ground, run.campaignId, waveCount + 2),
    databaseBytesPerMessage: ((await ledgerBytes(ground)) - bytesBefore) / counts.planned,
    workerPeakMiB: Math.max(...workers.map(({ pid }) => peakMiB(pid))),
    cpu: {
      workers: cpuAfter.workers - cpuBefore.workers,
      postgres: cpuAfter.postgres - cpuBefore.postgres,
      temporal: cpuAfter.temporal - cpuBefore.temporal,
      sandbox: cpuAfter.sandbox - cpuBefore.sandbox,
    },
  };
}

const mostFailures = 5;

/** The product's client tries nothing twice, and a server at full load may fail to answer once. */
async function endOf(workflow: WorkflowHandle): Promise<void> {
  for (let failures = 1; ; failures += 1) {
    try {
      await workflow.result();
      return;
    } catch (error) {
      if (!(error instanceof ServiceError) || failures === mostFailures) {
        throw error;
      }
      process.stderr.write(`  asking again how the run ended: ${inspect(error.cause)}\n`);
    }
  }
}

async function ledgerBytes({ db }: BenchGround): Promise<number> {
  const sizes = await db.raw(
    `select sum(pg_total_relation_size(c.oid)) as bytes from pg_class c
      where c.relname in ('campaign_runs', 'waves', 'dispatches', 'dispatch_attempts', 'messages',
        'message_events', 'campaign_log')`,
  );
  return Number(sizes.rows[0].bytes);
}

function cpuNow(ground: BenchGround, workers: BenchProcess[]): ProductRun['cpu'] {
  return {
    workers: cpuSeconds(workers.map(({ pid }) => pid)),
    postgres: cpuSeconds([ground.postgres.pid]),
    temporal: cpuSeconds([ground.temporalServer.pid]),
    sandbox: cpuSeconds([ground.sandbox.pid]),
  };
}
