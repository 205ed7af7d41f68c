import { z } from 'zod';
import {
  Campaign as CampaignShape,
  CampaignPlan,
  PlanCampaign,
  ScheduleCampaign,
  SendCampaign,
} from '../../domain/campaigns/schema';
import { scheduleProblems } from '../../domain/campaigns/scheduleProblems';
import type { Schedule } from '../../domain/campaigns/types';
import { planWaves } from '../../domain/campaigns/waves';
import { invalid } from '../../domain/errors';
import { countAudience } from '../../models/campaigns/audience';
import { lockCampaign, requireCampaign, scheduleCampaign } from '../../models/campaigns/campaigns';
import { contentValuesOf } from '../../models/campaigns/contentValues';
import { markWorkflowStarted, type CampaignRun } from '../../models/campaigns/runs';
import { withSendingRules } from '../../models/campaigns/sendingRules';
import { loadTenantZone } from '../../models/campaigns/tenantZone';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { audit } from '../../models/identity/audit';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { reply, route, type TenantRequest } from '../route';
import { presentCampaign, presentPlan } from './present';
import { requireVerified } from '../identity/requireVerified';
import { requireAccount, unsendable } from './requireAccount';

const tags = ['campaigns'];
const params = { id: 'campaign' } as const;
const startMeta = z.object({ workflowId: z.string(), workflow: z.enum(['started', 'pending']) });

const plan = route({
  method: 'post',
  path: '/campaigns/:id/plan',
  name: 'planCampaign',
  summary: 'See what a schedule would do: counts per wave, and who is left out and why',
  description: 'Nothing is written and nothing is sent.',
  tags,
  permission: 'campaign:write',
  params,
  body: json(PlanCampaign),
  idempotent: true,
  answers: { 200: CampaignPlan },
  problems: unsendable,
  async handler({ params: { id }, body: { schedule }, inTenant, tenantId }) {
    const now = new Date();
    requireUsable(schedule, now);
    const { spec, count, tenantZone } = await inTenant(async (trx) => {
      const { channel, audience, content } = await requireCampaign(trx, { tenantId, id });
      await requireAccount(trx, tenantId, contentValuesOf(content));
      return {
        spec: await withSendingRules(trx, { tenantId, channel }, schedule),
        count: await countAudience(trx, tenantId, channel, audience),
        tenantZone: await loadTenantZone(trx, tenantId),
      };
    });
    const waves = planWaves({ spec, groups: count.groups, tenantZone, now });
    return reply(200, presentPlan(count, waves));
  },
});

const schedule = route({
  method: 'post',
  path: '/campaigns/:id/schedule',
  name: 'scheduleCampaign',
  summary: 'Send a campaign now, at an instant, or at a local hour',
  description:
    'Audience and content are frozen by it. `meta.workflow` is "started", or "pending" when the workflow is started as soon as its server answers: nothing needs to be repeated then. To take a schedule back, cancel, edit and schedule again.',
  tags,
  permission: 'campaign:steer',
  params,
  body: json(ScheduleCampaign),
  idempotent: true,
  answers: { 202: CampaignShape },
  meta: startMeta,
  problems: ['campaignIsRunning', 'quotaReached', 'emailNotVerified', ...unsendable],
  async handler(request) {
    requireUsable(request.body.schedule, new Date());
    return startRun(request, request.body);
  },
});

const send = route({
  method: 'post',
  path: '/campaigns/:id/send',
  name: 'sendCampaign',
  summary: 'Send a campaign now',
  description: 'The same as a schedule of kind "now".',
  tags,
  permission: 'campaign:steer',
  params,
  body: json(SendCampaign),
  idempotent: true,
  answers: { 202: CampaignShape },
  meta: startMeta,
  problems: ['campaignIsRunning', 'quotaReached', 'emailNotVerified', ...unsendable],
  handler: (request) => {
    const { doubtPolicy, doubtDeadlineMinutes, ...window } = request.body;
    const schedule = { kind: 'now', ...window } as const;
    return startRun(request, { schedule, doubtPolicy, doubtDeadlineMinutes });
  },
});

export const schedulingRoutes = [plan, schedule, send];

/** Refuses a schedule that cannot be meant at this time of asking. */
export function requireUsable(given: Schedule, now: Date): void {
  const problems = scheduleProblems(given, now);
  if (problems.length > 0) {
    throw invalid(problems);
  }
}

type CampaignRequest = TenantRequest<typeof params, undefined, unknown>;

/** Writes the run, and after the commit starts its workflow; what fails there is made up for. */
async function startRun(
  request: CampaignRequest,
  wish: z.output<typeof ScheduleCampaign>,
): Promise<{
  status: 202;
  data: z.output<typeof CampaignShape>;
  meta: { workflowId: string; workflow: 'started' | 'pending' };
}> {
  const { inTenant, tenantId, userId, idempotentId, params: given } = request;
  const key = { tenantId, id: given.id };
  const runId = idempotentId();
  const { campaign, run } = await inTenant(async (trx) => {
    const stored = await lockCampaign(trx, key);
    // A repeated request is answered as the first one was, whatever became of the account since.
    if (stored.currentRunId !== runId) {
      await requireAccount(trx, tenantId, contentValuesOf(stored.content));
      await requireVerified(trx, request, stored.content.channel);
    }
    const scheduled = await scheduleCampaign(trx, key, {
      runId,
      schedule: wish.schedule,
      doubtPolicy: wish.doubtPolicy,
      doubtDeadlineMs: wish.doubtDeadlineMinutes * 60_000,
      actor: { kind: 'user', id: userId },
    });
    const target = { kind: 'campaign', id: key.id };
    const after = { runId, schedule: wish.schedule, doubtPolicy: wish.doubtPolicy };
    await audit(trx, auditOf(request, { id: runId, action: 'campaign.scheduled', target, after }));
    return scheduled;
  });
  const workflow = await startWorkflow(request, { ...run, name: campaign.name });
  return {
    status: 202,
    data: presentCampaign(campaign),
    meta: { workflowId: campaignWorkflowId(tenantId, campaign.id), workflow },
  };
}

async function startWorkflow(
  { deps, inTenant, tenantId, requestId }: CampaignRequest,
  run: CampaignRun & { name: string },
): Promise<'started' | 'pending'> {
  try {
    await deps.campaigns.startCampaign(run);
  } catch (error) {
    // The run is written: the reconciler starts it when the server is back.
    deps.logger.warn({ requestId, runId: run.id, err: error }, 'campaign not started yet');
    return 'pending';
  }
  await inTenant((trx) => markWorkflowStarted(trx, tenantId, run.id));
  return 'started';
}
