import { z } from 'zod';
import type { SteeringKind } from '../../clients/campaigns';
import {
  Campaign as CampaignShape,
  RescheduleCampaign,
  SteerCampaign,
} from '../../domain/campaigns/schema';
import { runIsOpen, type Actor, type Gate } from '../../domain/campaigns/types';
import { conflict } from '../../domain/errors';
import type { AuditAction } from '../../domain/identity/auditActions';
import type { Knex } from '../../lib/db';
import type { Campaign } from '../../models/campaigns/Campaign';
import { requireCampaign } from '../../models/campaigns/campaigns';
import type { Run } from '../../models/campaigns/Run';
import { getRun, requestReschedule, setGate } from '../../models/campaigns/runs';
import { reserveForRun, reservePlanned } from '../../models/campaigns/runQuota';
import { withSendingRules } from '../../models/campaigns/sendingRules';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { audit } from '../../models/identity/audit';
import { auditOf, type AuditedRequest } from '../audit';
import { json } from '../bodies';
import { route, type TenantRequest } from '../route';
import { presentCampaign } from './present';
import { requireUsable } from './scheduling';

const tags = ['campaigns'];
const params = { id: 'campaign' } as const;
const answers = { 200: CampaignShape, 202: CampaignShape } as const;
const meta = z.object({ workflowId: z.string(), workflow: z.enum(['informed', 'pending']) });

const holds =
  'It holds as soon as this answers. 202 with `meta.workflow` "pending" says that the workflow will follow when it can be reached.';

const pause = route({
  method: 'post',
  path: '/campaigns/:id/pause',
  name: 'pauseCampaign',
  summary: 'Stop new calls to the provider at once',
  description: `${holds} A paused campaign stays paused.`,
  tags,
  permission: 'campaign:steer',
  params,
  body: json(SteerCampaign),
  idempotent: true,
  answers,
  meta,
  problems: ['campaignNotScheduled', 'campaignIsBeingCancelled'],
  handler: (request) =>
    steer(request, 'pause', request.body.reason, turnGate(request, 'paused', request.body.reason)),
});

const resume = route({
  method: 'post',
  path: '/campaigns/:id/resume',
  name: 'resumeCampaign',
  summary: 'Go on after a pause',
  description: `${holds} A campaign that is not paused goes on as it does.`,
  tags,
  permission: 'campaign:steer',
  params,
  idempotent: true,
  answers,
  meta,
  problems: ['campaignNotScheduled', 'campaignIsBeingCancelled', 'quotaReached'],
  handler: (request) =>
    steer(request, 'resume', undefined, async (trx, run, actor) => {
      await requireRoomInPlan(trx, run);
      await turnGate(request, 'open')(trx, run, actor);
    }),
});

const cancel = route({
  method: 'post',
  path: '/campaigns/:id/cancel',
  name: 'cancelCampaign',
  summary: 'End a campaign; what was not sent is cancelled',
  description: `${holds} Calls that are under way end by themselves; the campaign is cancelled when they have. It can be edited and scheduled again then.`,
  tags,
  permission: 'campaign:steer',
  params,
  body: json(SteerCampaign),
  idempotent: true,
  answers,
  meta,
  problems: ['campaignNotScheduled'],
  handler: (request) =>
    steer(request, 'cancel', request.body.reason, turnGate(request, 'closed', request.body.reason)),
});

const reschedule = route({
  method: 'post',
  path: '/campaigns/:id/reschedule',
  name: 'rescheduleCampaign',
  summary: 'Move what is not sent yet to another time',
  description: `${holds} Nobody is written to twice, and a paused campaign stays paused.`,
  tags,
  permission: 'campaign:steer',
  params,
  body: json(RescheduleCampaign),
  idempotent: true,
  answers,
  meta,
  problems: ['campaignNotScheduled', 'campaignIsBeingCancelled'],
  handler: (request) => {
    requireUsable(request.body.schedule, new Date());
    return steer(request, 'reschedule', undefined, async (trx, run, actor) => {
      requireNotClosed(run);
      const schedule = await withSendingRules(trx, run, request.body.schedule);
      await requestReschedule(trx, { tenantId: run.tenantId, runId: run.id, schedule, actor });
      const deed = { action: 'campaign.rescheduled', target: targetOf(run) } as const;
      const before = { runId: run.id, schedule: run.schedule };
      await audit(trx, auditOf(request, { ...deed, before, after: { schedule } }));
    });
  },
});

export const steeringRoutes = [pause, resume, cancel, reschedule];

type SteerRecords = (trx: Knex.Transaction, run: Run, actor: Actor) => Promise<void>;

function turnGate(request: AuditedRequest, gate: Gate, reason?: string): SteerRecords {
  return async (trx, { tenantId, id, campaignId, gate: before }, actor) => {
    const change = { tenantId, runId: id, gate, reason: reason ?? null, actor };
    const { run, changed } = await setGate(trx, change);
    // It may have ended, or been cancelled, since the campaign was read.
    requireOpen(run);
    if (gate !== 'closed') {
      requireNotClosed(run);
    }
    if (changed) {
      const after = { runId: id, gate, ...(reason === undefined ? {} : { reason }) };
      const deed = { action: gateAction[gate], target: targetOf({ campaignId }) };
      await audit(trx, auditOf(request, { ...deed, before: { gate: before }, after }));
    }
  };
}

const gateAction = {
  open: 'campaign.resumed',
  paused: 'campaign.paused',
  closed: 'campaign.cancelled',
} as const satisfies Record<Gate, AuditAction>;

function targetOf({ campaignId }: Pick<Run, 'campaignId'>) {
  return { kind: 'campaign', id: campaignId };
}

/** Whatever it was paused for, it goes on when the plan that holds now has room for it. */
async function requireRoomInPlan(trx: Knex.Transaction, { tenantId, id }: Run): Promise<void> {
  const run = await getRun(trx, tenantId, id);
  if (run.gate === 'paused') {
    await (run.planSealedAt === null ? reserveForRun : reservePlanned)(trx, run);
  }
}

/** Writes the wish down, which is when it holds, and then tells the workflow. */
async function steer(
  request: TenantRequest<typeof params, unknown, unknown>,
  kind: SteeringKind,
  reason: string | undefined,
  steerRecords: SteerRecords,
): Promise<{
  status: 200 | 202;
  data: z.output<typeof CampaignShape>;
  meta: { workflowId: string; workflow: 'informed' | 'pending' };
}> {
  const { deps, inTenant, tenantId, userId, requestId } = request;
  const key = { tenantId, id: request.params.id };
  const actor: Actor = { kind: 'user', id: userId };
  await inTenant(async (trx) =>
    steerRecords(trx, openRunOf(await requireCampaign(trx, key)), actor),
  );
  let workflow: 'informed' | 'pending' = 'informed';
  try {
    const ref = { tenantId, campaignId: key.id };
    await deps.campaigns.steerCampaign(kind, ref, {
      actor,
      ...(reason === undefined ? {} : { reason }),
    });
  } catch (error) {
    // The records hold; the reconciler reminds the workflow.
    deps.logger.warn({ requestId, campaignId: key.id, kind, err: error }, 'campaign not told yet');
    workflow = 'pending';
  }
  const campaign = await inTenant((trx) => requireCampaign(trx, key));
  return {
    status: workflow === 'informed' ? 200 : 202,
    data: presentCampaign(campaign),
    meta: { workflowId: campaignWorkflowId(tenantId, key.id), workflow },
  };
}

function openRunOf({ run }: Campaign): Run {
  if (run === null) {
    throw notScheduled();
  }
  requireOpen(run);
  return run;
}

function requireOpen(run: Pick<Run, 'state'>): void {
  if (!runIsOpen[run.state]) {
    throw notScheduled();
  }
}

function requireNotClosed(run: Pick<Run, 'gate'>): void {
  if (run.gate === 'closed') {
    throw conflict('campaignIsBeingCancelled', 'The campaign was cancelled and is ending.');
  }
}

function notScheduled() {
  return conflict('campaignNotScheduled', 'The campaign is not scheduled or sending now.');
}
