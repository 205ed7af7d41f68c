import type { z } from 'zod';
import {
  nextRunAt,
  percentDone,
  waitingOf,
  type Waiting,
} from '../../domain/campaigns/reports/progress';
import { CampaignProgress } from '../../domain/campaigns/reports/schema';
import { campaignStatus, runIsOpen } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { withTenant } from '../../models/base';
import { estimatePlan, getReportedRun } from '../../models/campaigns/reports';
import type { CampaignRun } from '../../models/campaigns/runs';
import {
  countRun,
  countWaves,
  type RunCounts,
  type WaveCounts,
} from '../../models/messages/counts';
import { countOpen } from '../../models/messages/doubt';
import { etagOf } from '../etags';
import { reply, route } from '../route';
import { presentRun } from './present';
import { whichRun } from './whichRun';

type Progress = z.output<typeof CampaignProgress>;

const getProgress = route({
  method: 'get',
  path: '/campaigns/:id/progress',
  name: 'getCampaignProgress',
  summary: 'How far a campaign is, what it waits for, and its waves',
  description:
    'Until the plan is written (30 minutes before the first wave) it shows what the plan would be now. A campaign that was never scheduled has no progress: 404 `runNotFound`.',
  tags: ['campaigns'],
  permission: 'campaign:read',
  params: { id: 'campaign' },
  query: whichRun,
  answers: { 200: CampaignProgress },
  problems: ['runNotFound'],
  async handler({ params: { id }, query, deps, tenantId }) {
    const now = new Date();
    // One snapshot: the waves add up to the counts.
    const progress = await withTenant(
      deps.db,
      tenantId,
      async (trx) => {
        const run = await getReportedRun(trx, { tenantId, campaignId: id }, query.run);
        return run.planSealedAt === null && runIsOpen[run.state]
          ? estimatedProgress(trx, run, now)
          : writtenProgress(trx, run, now);
      },
      { isolationLevel: 'repeatable read' },
    );
    return reply(200, { ...progress, asOf: now.toISOString() }, { etag: etagOf(progress) });
  },
});

export const progressRoutes = [getProgress];

async function writtenProgress(
  trx: Knex.Transaction,
  run: CampaignRun,
  now: Date,
): Promise<Omit<Progress, 'asOf'>> {
  const counts = await countRun(trx, run.tenantId, run.id);
  const waves = await countWaves(trx, run.tenantId, run.id);
  const { inDoubt, nextDoubtAt } = await countOpen(trx, run.tenantId, run.id);
  return {
    status: campaignStatus(run),
    run: presentRun(run),
    isEstimate: false,
    percent: percentDone(counts),
    nextRunAt: nextRunAt(run, waves, now)?.toISOString() ?? null,
    waiting: presentWaiting(waitingOf({ ...run, inDoubt, nextDoubtAt }, waves, now)),
    counts: outcomesOf(counts),
    leftOut: run.leftOut,
    doubts: inDoubt,
    waves: waves.map((wave) => presentWave(wave, now)),
  };
}

async function estimatedProgress(
  trx: Knex.Transaction,
  run: CampaignRun,
  now: Date,
): Promise<Omit<Progress, 'asOf'>> {
  const { audience, plan } = await estimatePlan(trx, run, now);
  const waves = plan.waves.map((wave) => ({
    ...nothingYet,
    planVersion: run.planVersion,
    n: wave.n,
    kind: 'planned' as const,
    startsAt: wave.startsAt,
    closesAt: wave.closesAt,
    waitsFor: wave.waitsFor ?? null,
    timeZones: wave.zones,
    dispatches: 0,
    planned: wave.customers,
    open: wave.customers,
    waitsUntil: null,
    waitReason: null,
    heldBack: 0,
    heldBackUntil: null,
  }));
  const planned = waves.reduce((sum, wave) => sum + wave.planned, 0);
  const leftOut = Object.entries({ ...audience.leftOut, ...plan.leftOut });
  return {
    status: campaignStatus(run),
    run: presentRun(run),
    isEstimate: true,
    percent: 0,
    nextRunAt: nextRunAt(run, waves, now)?.toISOString() ?? null,
    waiting: presentWaiting(waitingOf({ ...run, inDoubt: 0, nextDoubtAt: null }, waves, now)),
    counts: { ...outcomesOf(nothingYet), planned, open: planned },
    leftOut: Object.fromEntries(leftOut.filter(([, customers]) => customers > 0)),
    doubts: 0,
    waves: waves.map((wave) => presentWave(wave, now)),
  };
}

const nothingYet: RunCounts = {
  planned: 0,
  accepted: 0,
  refused: 0,
  inDoubt: 0,
  unconfirmed: 0,
  cancelled: 0,
  expired: 0,
  open: 0,
  leftOut: 0,
  delivered: 0,
  bounced: 0,
  complained: 0,
  opened: 0,
  clicked: 0,
  unsubscribed: 0,
};

function presentWave(wave: WaveCounts, now: Date): Progress['waves'][number] {
  const putOff = wave.startsAt > now ? wave.waitsFor : null;
  return {
    planVersion: wave.planVersion,
    n: wave.n,
    kind: wave.kind,
    startsAt: wave.startsAt.toISOString(),
    closesAt: wave.closesAt.toISOString(),
    zones: wave.timeZones,
    dispatches: wave.dispatches,
    ...outcomesOf(wave),
    waitsUntil: (putOff === null ? wave.waitsUntil : wave.startsAt)?.toISOString() ?? null,
    waitReason: putOff ?? wave.waitReason,
    heldBack: wave.heldBack,
    heldBackUntil: wave.heldBackUntil?.toISOString() ?? null,
  };
}

function presentWaiting(waiting: Waiting | null): Progress['waiting'] {
  return waiting === null ? null : { ...waiting, until: waiting.until?.toISOString() ?? null };
}

function outcomesOf(counts: RunCounts): Progress['counts'] {
  const { planned, accepted, refused, inDoubt, unconfirmed, cancelled, expired, open, leftOut } =
    counts;
  return { planned, accepted, refused, inDoubt, unconfirmed, cancelled, expired, open, leftOut };
}
