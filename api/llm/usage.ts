import { z } from 'zod';
import { invalidField, notFound } from '../../domain/errors';
import type { UsagePart } from '../../domain/llm/callRecords';
import {
  LlmCall,
  LlmCallDetail,
  LlmPrompt,
  LlmUsage,
  OwnLlmCallDetail,
} from '../../domain/llm/spending/schema';
import type { Knex } from '../../lib/db';
import { audit } from '../../models/identity/audit';
import { sealedPlace } from '../../models/identity/sealedPlaces';
import {
  findPrompt,
  llmCallSorts,
  llmCallsWhere,
  requireLlmCall,
} from '../../models/llm/callRecords';
import { mostUsageRows, sumUsage, type UsageQuestion } from '../../models/llm/usage';
import { auditOf } from '../audit';
import { etagOf } from '../etags';
import { listPage } from '../lists';
import { adminRoute, reply, route } from '../route';
import { presentCallDetail, presentLlmCall } from './presentSpending';
import {
  AskLlmUsage,
  AskPlatformLlmUsage,
  ListLlmCalls,
  ListPlatformLlmCalls,
} from './spendingRequests';

const tags = ['llm'];
const params = { id: 'llmCall' } as const;

const usage = route({
  method: 'get',
  path: '/llm/usage',
  name: 'getLlmUsage',
  summary: 'What language models were used for, and what that cost',
  description:
    'Sums of calls that have ended, by day or month in UTC and by what `by` names. A call counts on the day it was made.',
  tags,
  permission: 'llmUsage:read',
  query: AskLlmUsage,
  answers: { 200: LlmUsage },
  async handler({ query, inTenant, tenantId }) {
    const shown = await inTenant((trx) => usageOf(trx, { ...query, tenantId }));
    return reply(200, { ...shown, asOf: new Date().toISOString() }, { etag: etagOf(shown) });
  },
});

const usageOfAll = adminRoute({
  method: 'get',
  path: '/admin/llm/usage',
  name: 'getPlatformLlmUsage',
  summary: 'What language models were used for by all tenants, and what that cost',
  tags,
  permission: 'platform:read',
  query: AskPlatformLlmUsage,
  answers: { 200: LlmUsage },
  async handler({ query, acrossTenants }) {
    const shown = await acrossTenants((trx) =>
      usageOf(trx, { ...query, tenantId: query.tenantId ?? null }),
    );
    return reply(200, { ...shown, asOf: new Date().toISOString() }, { etag: etagOf(shown) });
  },
});

const calls = route({
  method: 'get',
  path: '/llm/calls',
  name: 'listLlmCalls',
  summary: 'List calls of language models, one by one',
  tags,
  permission: 'llmUsage:read',
  query: ListLlmCalls,
  answers: { 200: z.array(LlmCall) },
  async handler({ query, inTenant, tenantId }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(llmCallsWhere(trx, tenantId, query), {
        list: query,
        sorts: llmCallSorts,
        present: presentLlmCall,
      }),
    );
    return reply(200, data, { meta });
  },
});

const callsOfAll = adminRoute({
  method: 'get',
  path: '/admin/llm/calls',
  name: 'listPlatformLlmCalls',
  summary: 'List calls of language models of all tenants',
  tags,
  permission: 'platform:read',
  query: ListPlatformLlmCalls,
  answers: { 200: z.array(LlmCall) },
  async handler({ query, acrossTenants }) {
    const { data, meta } = await acrossTenants((trx) =>
      listPage(llmCallsWhere(trx, query.tenantId ?? null, query), {
        list: query,
        sorts: llmCallSorts,
        present: presentLlmCall,
      }),
    );
    return reply(200, data, { meta });
  },
});

const call = route({
  method: 'get',
  path: '/llm/calls/:id',
  name: 'getLlmCall',
  summary: 'Read one call, with each attempt and the prices that held',
  tags,
  permission: 'llmUsage:read',
  params,
  answers: { 200: OwnLlmCallDetail },
  async handler({ params: { id }, inTenant, tenantId }) {
    const shown = await inTenant(async (trx) => {
      const detail = await requireLlmCall(trx, { tenantId, id });
      const prompt = await findPrompt(trx, { tenantId, callId: id });
      return { ...presentCallDetail(detail), hasPrompt: prompt !== null };
    });
    return reply(200, shown);
  },
});

const callOfAny = adminRoute({
  method: 'get',
  path: '/admin/llm/calls/:id',
  name: 'getPlatformLlmCall',
  summary: 'Read one call of any tenant, but for what was asked and answered',
  tags,
  permission: 'platform:read',
  params,
  answers: { 200: LlmCallDetail },
  async handler({ params: { id }, acrossTenants }) {
    const detail = await acrossTenants((trx) => requireLlmCall(trx, { tenantId: null, id }));
    return reply(200, presentCallDetail(detail));
  },
});

const prompt = route({
  method: 'get',
  path: '/llm/calls/:id/prompt',
  name: 'getLlmPrompt',
  summary: 'What was asked and answered in a call, where you have it kept',
  description: 'Whoever reads it is named in the audit log.',
  tags,
  permission: 'llmBudget:write',
  params,
  answers: { 200: LlmPrompt },
  problems: ['llmPromptNotFound'],
  async handler(request) {
    const { params: given, deps, inTenant, tenantId } = request;
    const kept = await inTenant(async (trx) => {
      const found = await findPrompt(trx, { tenantId, callId: given.id });
      if (found === null) {
        throw notFound('llmPrompt');
      }
      await audit(
        trx,
        auditOf(request, {
          action: 'llmPrompt.read',
          target: { kind: 'llmCall', id: given.id },
        }),
      );
      return found;
    });
    const place = sealedPlace('llmPrompts', { key: [given.id], tenantId });
    return reply(200, {
      content: deps.sealing.open(kept.content, place),
      expiresAt: kept.expiresAt.toISOString(),
    });
  },
});

export const llmUsageRoutes = [usage, usageOfAll, calls, callsOfAll, call, callOfAny, prompt];

const longestDays = 400;

type UsageQuery = Omit<UsageQuestion, 'from' | 'to' | 'by'> & {
  readonly by: readonly (UsagePart | 'tenant')[];
  readonly from?: string | undefined;
  readonly to?: string | undefined;
};

async function usageOf(trx: Knex.Transaction, query: UsageQuery) {
  const today = new Date().toISOString().slice(0, 10);
  const to = query.to ?? today;
  const from = query.from ?? `${to.slice(0, 7)}-01`;
  const days = (Date.parse(to) - Date.parse(from)) / 86_400_000;
  if (days < 0) {
    throw invalidField('from', 'afterEnd', 'Must not be after `to`.');
  }
  if (days > longestDays) {
    throw invalidField('from', 'tooLong', `At most ${longestDays} days are summed up at once.`);
  }
  const { rows, total } = await sumUsage(trx, { ...query, from, to });
  if (rows.length > mostUsageRows) {
    const message = `These are more than ${mostUsageRows.toLocaleString('en')} rows: ask for fewer days, or by less.`;
    throw invalidField('by', 'tooManyRows', message);
  }
  return { from, to, rows, total };
}
