import type { z } from 'zod';
import { CampaignMetrics } from '../../domain/campaigns/reports/schema';
import { withTenant } from '../../models/base';
import { getReportedRun } from '../../models/campaigns/reports';
import { countLeftOut, countRun, countWaves, type WaveCounts } from '../../models/messages/counts';
import { countRunEngagements, type Engagements } from '../../models/tracking/engagementCounts';
import { etagOf } from '../etags';
import { reply, route } from '../route';
import { whichRun } from './whichRun';

type Metrics = z.output<typeof CampaignMetrics>;

const tags = ['campaigns'];

const getMetrics = route({
  method: 'get',
  path: '/campaigns/:id/metrics',
  name: 'getCampaignMetrics',
  summary: 'What became of a campaign’s messages, in all and by wave',
  description:
    'Every number counts messages, but for `opens` and `clicks`, which count times by who it was (a repetition within a minute is none) and say in `unique` how many messages. `planned` is the sum of accepted, refused, inDoubt, unconfirmed, cancelled, expired, open and what `leftOut.call` holds; what happened after the call (delivered, opened …) is counted once a message. 404 `runNotFound` when the campaign was never scheduled.',
  tags,
  permission: 'campaign:read',
  params: { id: 'campaign' },
  query: whichRun,
  answers: { 200: CampaignMetrics },
  problems: ['runNotFound'],
  async handler({ params: { id }, query, deps, tenantId }) {
    const now = new Date();
    // One snapshot: the waves and the reasons add up to the counts.
    const metrics = await withTenant(
      deps.db,
      tenantId,
      async (trx): Promise<Omit<Metrics, 'asOf'>> => {
        const run = await getReportedRun(trx, { tenantId, campaignId: id }, query.run);
        const { leftOut: _, ...counts } = await countRun(trx, tenantId, run.id);
        const waves = await countWaves(trx, tenantId, run.id);
        const engagements = await countRunEngagements(trx, tenantId, run.id);
        const leftOutAtCall = await countLeftOut(trx, tenantId, run.id);
        return {
          run: { id: run.id, n: run.n },
          ...counts,
          ...engagements.run,
          leftOut: { planning: run.leftOut, call: leftOutAtCall },
          waves: waves.map((wave) => presentWave(wave, engagements.ofWave(wave))),
        };
      },
      { isolationLevel: 'repeatable read' },
    );
    return reply(200, { ...metrics, asOf: now.toISOString() }, { etag: etagOf(metrics) });
  },
});

export const metricsRoutes = [getMetrics];

function presentWave(wave: WaveCounts, engagements: Engagements): Metrics['waves'][number] {
  const { timeZones, dispatches: _, waitsUntil: __, waitReason: ___, ...counts } = wave;
  return {
    ...counts,
    ...engagements,
    startsAt: wave.startsAt.toISOString(),
    closesAt: wave.closesAt.toISOString(),
    zones: timeZones,
  };
}
