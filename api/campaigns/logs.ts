import { z } from 'zod';
import { CampaignLogEntry } from '../../domain/campaigns/reports/schema';
import { CampaignRun } from '../../domain/campaigns/schema';
import type { CampaignLogEntry as LogEntry } from '../../models/campaigns/CampaignLogEntry';
import { findReportedRun, logOf, logSorts, runsOf, runSorts } from '../../models/campaigns/reports';
import { listPage, listQuery } from '../lists';
import { reply, route } from '../route';
import { presentRun } from './present';
import { runFilter } from './whichRun';

const tags = ['campaigns'];

const listRuns = route({
  method: 'get',
  path: '/campaigns/:id/runs',
  name: 'listCampaignRuns',
  summary: 'Every occurrence of a campaign',
  tags,
  permission: 'campaign:read',
  params: { id: 'campaign' },
  query: listQuery({ item: CampaignRun, sorts: runSorts, defaultSort: '-n', filters: {} }),
  answers: { 200: z.array(CampaignRun) },
  async handler({ params: { id }, query, inTenant, tenantId }) {
    const key = { tenantId, campaignId: id };
    const { data, meta } = await inTenant(async (trx) => {
      await findReportedRun(trx, key);
      return listPage(runsOf(trx, key), { list: query, sorts: runSorts, present: presentRun });
    });
    return reply(200, data, { meta });
  },
});

const listLogs = route({
  method: 'get',
  path: '/campaigns/:id/logs',
  name: 'listCampaignLogs',
  summary: 'What was done to a campaign, by whom, and what it did by itself',
  description: 'Of all its runs unless `run` names one.',
  tags,
  permission: 'campaign:read',
  params: { id: 'campaign' },
  query: listQuery({
    item: CampaignLogEntry,
    sorts: logSorts,
    defaultSort: '-createdAt',
    filters: { ...runFilter, kind: z.string().trim().min(1).max(50).optional() },
  }),
  answers: { 200: z.array(CampaignLogEntry) },
  problems: ['runNotFound'],
  async handler({ params: { id }, query, inTenant, tenantId }) {
    const key = { tenantId, campaignId: id };
    const { data, meta } = await inTenant(async (trx) => {
      const run = await findReportedRun(trx, key, query.run);
      const runId = query.run === undefined ? undefined : run?.id;
      return listPage(logOf(trx, key, { kind: query.kind, runId }), {
        list: query,
        sorts: logSorts,
        present: presentLogEntry,
      });
    });
    return reply(200, data, { meta });
  },
});

export const logRoutes = [listRuns, listLogs];

function presentLogEntry(row: LogEntry): z.output<typeof CampaignLogEntry> {
  return {
    id: row.id,
    kind: row.kind,
    runId: row.runId,
    actor: { kind: row.actorKind, id: row.actorId },
    detail: row.detail,
    createdAt: row.createdAt.toISOString(),
  };
}
