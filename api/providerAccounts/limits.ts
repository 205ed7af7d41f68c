import type { z } from 'zod';
import { ProviderLimits, ProviderRate, ReplaceLimits } from '../../domain/messages/limits/schema';
import type { RateLimit } from '../../domain/messages/rateLimits';
import { audit } from '../../models/identity/audit';
import { lockProviderAccount, requireProviderAccount } from '../../models/messages/accounts';
import {
  liftBlock,
  readRate,
  replaceLimits,
  type AccountRate,
  type WokenRun,
} from '../../models/messages/limits';
import { listLimits } from '../../models/messages/accountLimits';
import { auditOf } from '../audit';
import { json } from '../bodies';
import type { ApiDeps } from '../deps';
import { requireUnchanged } from '../etags';
import { reply, route } from '../route';

const tags = ['providerAccounts'];
const params = { id: 'providerAccount' } as const;

const get = route({
  method: 'get',
  path: '/provider-accounts/:id/limits',
  name: 'getProviderLimits',
  summary: 'How many calls or messages the account may make in each window',
  tags,
  permission: 'providerAccount:read',
  params,
  answers: { 200: ProviderLimits },
  async handler({ params: { id }, inTenant, tenantId }) {
    const limits = await inTenant(async (trx) => {
      await requireProviderAccount(trx, { tenantId, id });
      return listLimits(trx, id);
    });
    return reply(200, presentLimits(limits));
  },
});

const replace = route({
  method: 'put',
  path: '/provider-accounts/:id/limits',
  name: 'replaceProviderLimits',
  summary: 'Write all limits of the account',
  description:
    'They hold from the next call on, over all campaigns and workers; what waits for a limit asks again at once. What a window has counted stays counted. Windows are those of the vendor’s calendar in `timeZone`.',
  tags,
  permission: 'providerAccount:write',
  params,
  body: json(ReplaceLimits),
  answers: { 200: ProviderLimits },
  async handler(request) {
    const { params: given, body, deps, ifMatch, inTenant, tenantId, requestId } = request;
    const key = { tenantId, id: given.id };
    const { limits, woken } = await inTenant(async (trx) => {
      await lockProviderAccount(trx, key);
      const before = presentLimits(await listLimits(trx, key.id));
      requireUnchanged(ifMatch, before);
      const runs = await replaceLimits(trx, key, body.limits);
      const written = await listLimits(trx, key.id);
      const target = { kind: 'providerAccount', id: key.id };
      const after = presentLimits(written);
      const action = 'providerAccount.limitsChanged';
      await audit(trx, auditOf(request, { action, target, before, after }));
      return { limits: written, woken: runs };
    });
    await tellRuns(deps, woken, requestId);
    return reply(200, presentLimits(limits));
  },
});

const getRate = route({
  method: 'get',
  path: '/provider-accounts/:id/rate',
  name: 'getProviderRate',
  summary: 'How fast the account may go just now, and what waits for it',
  tags,
  permission: 'providerAccount:read',
  params,
  answers: { 200: ProviderRate },
  async handler({ params: { id }, inTenant, tenantId }) {
    const rate = await inTenant(async (trx) => {
      await requireProviderAccount(trx, { tenantId, id });
      return readRate(trx, { tenantId, id });
    });
    return reply(200, presentRate(rate));
  },
});

const unblock = route({
  method: 'delete',
  path: '/provider-accounts/:id/block',
  name: 'liftProviderBlock',
  summary: 'Let calls leave again before the vendor’s time to wait is over',
  description:
    'What waits for it asks again at once, at full pace. An account that is not blocked goes on as it does.',
  tags,
  permission: 'providerAccount:write',
  params,
  answers: { 200: ProviderRate },
  async handler(request) {
    const { params: given, deps, inTenant, tenantId, requestId } = request;
    const key = { tenantId, id: given.id };
    const { rate, woken } = await inTenant(async (trx) => {
      await lockProviderAccount(trx, key);
      const runs = await liftBlock(trx, key);
      const target = { kind: 'providerAccount', id: key.id };
      await audit(trx, auditOf(request, { action: 'providerAccount.blockLifted', target }));
      return { rate: await readRate(trx, key), woken: runs };
    });
    await tellRuns(deps, woken, requestId);
    return reply(200, presentRate(rate));
  },
});

export const providerLimitRoutes = [get, replace, getRate, unblock];

/** Tells the workflows after the commit; who cannot be reached is reminded by the reconciler. */
async function tellRuns(
  { campaigns, logger }: Pick<ApiDeps, 'campaigns' | 'logger'>,
  runs: readonly WokenRun[],
  requestId: string,
): Promise<void> {
  const told = await Promise.allSettled(runs.map((run) => campaigns.signalSteering(run)));
  const missed = told.filter(({ status }) => status === 'rejected').length;
  if (missed > 0) {
    logger.warn({ requestId, runs: missed }, 'runs not told yet that they need not wait');
  }
}

function presentLimits(limits: readonly RateLimit[]): z.output<typeof ProviderLimits> {
  return {
    limits: limits.map(({ per, unit, most, timeZone, growth }) => ({
      per,
      unit,
      most,
      timeZone: timeZone ?? 'UTC',
      growth: growth ?? null,
    })),
  };
}

function presentRate({
  blockedUntil,
  blockedReason,
  pace,
  windows,
  waiting,
}: AccountRate): z.output<typeof ProviderRate> {
  return {
    blockedUntil: blockedUntil?.toISOString() ?? null,
    blockedReason,
    pace,
    windows: windows.map((window) => ({ ...window, startsAt: window.startsAt.toISOString() })),
    waiting: { messages: waiting.messages, until: waiting.until?.toISOString() ?? null },
  };
}
