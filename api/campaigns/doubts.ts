import { z } from 'zod';
import { runIsOpen, type Actor } from '../../domain/campaigns/types';
import { conflict, notFound } from '../../domain/errors';
import {
  CampaignDoubt,
  SettledDoubts,
  SettleDoubt,
  SettleDoubts,
} from '../../domain/messages/doubts/schema';
import type { DoubtEnd } from '../../domain/messages/doubts/types';
import type { Knex } from '../../lib/db';
import { logCampaign } from '../../models/campaigns/log';
import { findReportedRun, getReportedRun } from '../../models/campaigns/reports';
import type { CampaignRun } from '../../models/campaigns/runs';
import type { DoubtfulCall } from '../../models/messages/DoubtfulCall';
import {
  callOutcome,
  countInDoubt,
  doubtKinds,
  doubtsWhere,
  doubtSorts,
  findDispatch,
} from '../../models/messages/doubtsList';
import { settleDoubts } from '../../models/messages/doubtsSettle';
import { audit } from '../../models/identity/audit';
import { auditOf, type AuditedRequest } from '../audit';
import { json } from '../bodies';
import { listPage, listQuery } from '../lists';
import { reply, route, type TenantRequest } from '../route';
import { runFilter, whichRun } from './whichRun';

const tags = ['campaigns'];

const listCampaignDoubts = route({
  method: 'get',
  path: '/campaigns/:id/doubts',
  name: 'listCampaignDoubts',
  summary: 'The calls a person should look at',
  description:
    'Calls whose outcome is not known (inDoubt), was not told until the deadline (unconfirmed), or was accepted twice, each with what is known of it.',
  tags,
  permission: 'campaign:read',
  params: { id: 'campaign' },
  query: listQuery({
    item: CampaignDoubt,
    sorts: doubtSorts,
    defaultSort: 'dispatch',
    filters: { ...runFilter, kind: z.enum(doubtKinds).optional() },
  }),
  answers: { 200: z.array(CampaignDoubt) },
  problems: ['runNotFound'],
  async handler({ params: { id }, query, inTenant, tenantId }) {
    const { data, meta } = await inTenant(async (trx) => {
      const run = await findReportedRun(trx, { tenantId, campaignId: id }, query.run);
      return listPage(doubtsWhere(trx, { tenantId, runId: run?.id ?? null }, query.kind), {
        list: query,
        sorts: doubtSorts,
        present: presentDoubt,
        idColumn: 'n',
        idType: 'bigint',
      });
    });
    return reply(200, data, { meta });
  },
});

const dispatchNumber = { what: 'dispatch', schema: z.string().regex(/^[1-9]\d{0,8}$/) } as const;
const settleMeta = z.object({ workflow: z.enum(['informed', 'pending', 'ended']) });
const toldLater =
  '`meta.workflow` is "informed", "ended" when the run has ended before, or "pending" when its workflow follows as soon as it can be reached: nothing needs to be repeated then.';

const settleDoubt = route({
  method: 'post',
  path: '/campaigns/:id/doubts/:dispatch/settle',
  name: 'settleCampaignDoubt',
  summary: 'Say what became of a call in doubt',
  description: `Saying the same again changes nothing; 409 \`doubtMoved\` when something else was found out meanwhile. Messages that were not sent are sent in a new wave while the run is open, and are cancelled when it is not. ${toldLater}`,
  tags,
  permission: 'campaign:steer',
  params: { id: 'campaign', dispatch: dispatchNumber },
  query: whichRun,
  body: json(SettleDoubt),
  idempotent: true,
  answers: { 200: CampaignDoubt },
  meta: settleMeta,
  problems: ['runNotFound', 'doubtMoved'],
  async handler(request) {
    const { params, query, body, inTenant, tenantId } = request;
    const { run, doubt, isNew } = await inTenant(async (trx) => {
      const found = await getReportedRun(trx, { tenantId, campaignId: params.id }, query.run);
      const n = Number(params.dispatch);
      const moved = await settleOne(trx, found, n, body, actorOf(request));
      if (moved) {
        const after = { dispatch: n, as: body.as, reason: body.reason };
        await audit(trx, settledEntry(request, found, 'campaign.doubtSettled', after));
      }
      return { run: found, doubt: await requireDispatch(trx, found, n), isNew: moved };
    });
    const workflow = await tellRun(request, run, isNew ? body.as : null);
    return reply(200, presentDoubt(doubt), { meta: { workflow } });
  },
});

const settleAllDoubts = route({
  method: 'post',
  path: '/campaigns/:id/doubts/settle',
  name: 'settleCampaignDoubts',
  summary: 'Say what became of all calls of a run that are in doubt',
  description: `What was ended as unconfirmed stays: it is settled one by one. ${toldLater}`,
  tags,
  permission: 'campaign:steer',
  params: { id: 'campaign' },
  query: whichRun,
  body: json(SettleDoubts),
  idempotent: true,
  answers: { 200: SettledDoubts },
  meta: settleMeta,
  problems: ['runNotFound'],
  async handler(request) {
    const { params, query, body, inTenant, tenantId } = request;
    const { run, settled } = await inTenant(async (trx) => {
      const found = await getReportedRun(trx, { tenantId, campaignId: params.id }, query.run);
      const all = await settleAll(trx, found, body, actorOf(request));
      if (all.dispatches > 0) {
        const after = { as: body.as, reason: body.reason, dispatches: all.dispatches };
        await audit(trx, settledEntry(request, found, 'campaign.doubtsSettled', after));
      }
      return { run: found, settled: all };
    });
    const workflow = await tellRun(request, run, settled.dispatches > 0 ? body.as : null);
    return reply(200, settled, { meta: { workflow } });
  },
});

export const doubtRoutes = [listCampaignDoubts, settleAllDoubts, settleDoubt];

/** Settles one call and logs it; answers false when it had ended like this before. */
async function settleOne(
  trx: Knex.Transaction,
  run: CampaignRun,
  n: number,
  wish: z.output<typeof SettleDoubt>,
  actor: Actor,
): Promise<boolean> {
  const { tenantId, id: runId } = run;
  const attempt = wish.attempt ?? (await requireDispatch(trx, run, n)).attempt;
  const settled = await settleDoubts(trx, windowOf(run), {
    which: { calls: [{ dispatchN: n, attempt }] },
    as: wish.as,
    provenBy: 'operator',
  });
  if (settled.dispatchNs.length > 0) {
    await logSettled(trx, run, actor, 'doubtSettled', {
      dispatch: n,
      attempt,
      as: wish.as,
      reason: wish.reason,
      messages: settled.messages,
    });
    return true;
  }
  const now = await requireDispatch(trx, run, n);
  const outcome = await callOutcome(trx, { tenantId, runId, dispatchN: n, attempt });
  const isAsSaid =
    wish.as === 'unconfirmed'
      ? now.state === 'unconfirmed' && now.attempt === attempt
      : outcome === outcomeOf[wish.as];
  if (!isAsSaid) {
    throw conflict(
      'doubtMoved',
      now.state === 'in_doubt' && now.attempt === attempt
        ? 'An event of this call has come and is being applied; look again.'
        : `The call is not in doubt any more: the dispatch is ${stateOf(now)}, its newest attempt is ${now.attempt}.`,
    );
  }
  return false;
}

const outcomeOf = { accepted: 'accepted', notSent: 'not_sent' } as const;

async function settleAll(
  trx: Knex.Transaction,
  run: CampaignRun,
  { as, reason, calledBefore }: z.output<typeof SettleDoubts>,
  actor: Actor,
): Promise<z.output<typeof SettledDoubts>> {
  const { dispatchNs, messages } = await settleDoubts(trx, windowOf(run), {
    which: { calledBefore: calledBefore ?? null },
    as,
    provenBy: 'operator',
  });
  const dispatches = dispatchNs.length;
  if (dispatches > 0) {
    await logSettled(trx, run, actor, 'doubtsSettled', { as, reason, dispatches, messages });
  }
  const left = await countInDoubt(trx, { tenantId: run.tenantId, runId: run.id });
  return { dispatches, messages, left };
}

function logSettled(
  trx: Knex.Transaction,
  run: CampaignRun,
  actor: Actor,
  kind: 'doubtSettled' | 'doubtsSettled',
  detail: Record<string, unknown>,
): Promise<void> {
  const { tenantId, campaignId, id: runId } = run;
  return logCampaign(trx, { tenantId, campaignId, runId, kind, actor, detail });
}

function settledEntry(
  request: AuditedRequest,
  run: CampaignRun,
  action: 'campaign.doubtSettled' | 'campaign.doubtsSettled',
  settled: Record<string, unknown>,
) {
  const target = { kind: 'campaign', id: run.campaignId };
  return auditOf(request, { action, target, after: { runId: run.id, ...settled } });
}

/** The records hold already; the workflow is told so that it need not wait for its next look. */
async function tellRun(
  {
    deps,
    tenantId,
    requestId,
  }: Pick<TenantRequest<never, unknown, unknown>, 'deps' | 'tenantId' | 'requestId'>,
  run: CampaignRun,
  as: DoubtEnd | null,
): Promise<'informed' | 'pending' | 'ended'> {
  if (!runIsOpen[run.state]) {
    return 'ended';
  }
  try {
    const ref = { tenantId, campaignId: run.campaignId, runN: run.n };
    await deps.campaigns.signalRun(ref, as === 'notSent' ? 'wavesAdded' : 'ledgerChanged');
    return 'informed';
  } catch (error) {
    deps.logger.warn({ requestId, runId: run.id, err: error }, 'run not told of settled doubts');
    return 'pending';
  }
}

function windowOf({ tenantId, id, schedule }: CampaignRun) {
  return { tenantId, runId: id, windowMinutes: schedule.windowMinutes ?? 60 };
}

function actorOf({ userId }: { userId: string }): Actor {
  return { kind: 'user', id: userId };
}

async function requireDispatch(
  trx: Knex.Transaction,
  run: CampaignRun,
  n: number,
): Promise<DoubtfulCall> {
  const found = await findDispatch(trx, { tenantId: run.tenantId, runId: run.id }, n);
  if (found === null) {
    throw notFound('dispatch');
  }
  return found;
}

function presentDoubt(row: DoubtfulCall): z.output<typeof CampaignDoubt> {
  return {
    dispatch: row.n,
    attempt: row.attempt,
    state: stateOf(row),
    messages: row.messages,
    reason: row.reason,
    status: row.status,
    calledAt: row.calledAt?.toISOString() ?? null,
    doubtUntil: row.doubtUntil?.toISOString() ?? null,
    policy: row.doubtPolicy,
    provenBy: row.provenBy,
    lookUps: {
      times: row.lookUps,
      lastAt: row.lookedUpAt?.toISOString() ?? null,
      nextAt: row.state === 'in_doubt' ? (row.lookUpAt?.toISOString() ?? null) : null,
      answer: row.lookUpAnswer,
      reason: row.lookUpReason,
    },
    acceptedAttempts: row.acceptedAttempts,
  };
}

function stateOf({ state }: DoubtfulCall): string {
  return state === 'in_doubt' ? 'inDoubt' : state;
}
