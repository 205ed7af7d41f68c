import { z } from 'zod';
import type { BudgetScope } from '../../domain/llm/budgets';
import {
  LlmBudget as BudgetShape,
  LlmBudgetNow,
  ReplaceLlmBudget,
  WriteLlmBudget,
} from '../../domain/llm/spending/schema';
import { differences } from '../../domain/identity/auditValues';
import { audit } from '../../models/identity/audit';
import {
  changeLlmBudget,
  createLlmBudget,
  llmBudgetSorts,
  llmBudgetsOf,
  lockLlmBudget,
  removeLlmBudget,
  requireLlmBudget,
} from '../../models/llm/budgets';
import type { Knex } from '../../lib/db';
import type { LlmBudget } from '../../models/llm/LlmBudget';
import { liftSpentKey } from '../../models/llm/spentKeys';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { listPage } from '../lists';
import { basePath, reply } from '../route';
import { ownedRoutes } from './owned';
import { presentBudget, presentBudgetNow } from './presentSpending';
import { ListLlmBudgets } from './spendingRequests';

const shared = { tags: ['llm'] } as const;
const reading = { permission: 'llmUsage:read', platformPermission: 'platform:read' } as const;
const writing = { permission: 'llmBudget:write', platformPermission: 'platform:write' } as const;
const params = { id: 'llmBudget' } as const;

const create = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/budgets',
  name: 'createLlmBudget',
  summary: 'Bound what may be spent on language models in a day or a month',
  description:
    'It holds at once, with all that the period that is now has cost before. Every call reserves what it may cost at most under all budgets it falls under, or is refused with 402 `llmBudgetSpent`. A budget of a key is counted as its calls end: the key rests until the next period once it is spent.',
  body: json(WriteLlmBudget),
  idempotent: true,
  answers: { 201: BudgetShape },
  problems: ['llmBudgetTaken'],
  async handler(request) {
    const { body, inOwn, ownerId, userId, idempotentId } = request;
    const budget = await inOwn(async (trx) => {
      const created = await createLlmBudget(
        trx,
        { ownerId, id: idempotentId() },
        { ...body, subject: subjectOf(body), createdBy: userId },
      );
      await audit(
        trx,
        auditOf(request, {
          id: created.id,
          tenantId: ownerId,
          action: 'llmBudget.created',
          target: targetOf(created),
          after: presentBudget(created),
        }),
      );
      return created;
    });
    const folder = ownerId === null ? '/admin/llm/budgets' : '/llm/budgets';
    return reply(201, presentBudget(budget), {
      headers: { Location: `${basePath}${folder}/${budget.id}` },
    });
  },
});

const list = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/budgets',
  name: 'listLlmBudgets',
  summary: 'List budgets for language models, with what is spent and reserved now',
  query: ListLlmBudgets,
  answers: { 200: z.array(LlmBudgetNow) },
  async handler({ query, inOwn, ownerId }) {
    const { scope, subject, period } = query;
    const { data, meta } = await inOwn((trx) =>
      listPage(llmBudgetsOf(trx, ownerId, { scope, subject, period }), {
        list: query,
        sorts: llmBudgetSorts,
        idColumn: 'llm_budgets.id',
        hasColumns: true,
        present: presentBudgetNow,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/budgets/:id',
  name: 'getLlmBudget',
  summary: 'Read one budget; the list says how it stands',
  params,
  answers: { 200: BudgetShape },
  async handler({ params: { id }, inOwn, ownerId }) {
    return reply(200, presentBudget(await inOwn((trx) => requireLlmBudget(trx, { ownerId, id }))));
  },
});

const replace = ownedRoutes({
  ...shared,
  ...writing,
  method: 'put',
  path: '/llm/budgets/:id',
  name: 'replaceLlmBudget',
  summary: 'Write another limit; what it is for stays',
  description: 'It holds from the next call on. What is spent stays spent.',
  params,
  body: json(ReplaceLlmBudget),
  answers: { 200: BudgetShape },
  async handler(request) {
    const { params: given, body, ifMatch, inOwn, ownerId } = request;
    const budget = await inOwn(async (trx) => {
      const stored = await lockLlmBudget(trx, { ownerId, id: given.id });
      const before = presentBudget(stored);
      requireUnchanged(ifMatch, before);
      const changed = await changeLlmBudget(trx, stored, body.limitMicros);
      await letServe(trx, request, stored);
      await audit(
        trx,
        auditOf(request, {
          tenantId: ownerId,
          action: 'llmBudget.changed',
          target: targetOf(stored),
          ...differences(before, presentBudget(changed)),
        }),
      );
      return changed;
    });
    return reply(200, presentBudget(budget));
  },
});

const remove = ownedRoutes({
  ...shared,
  ...writing,
  method: 'delete',
  path: '/llm/budgets/:id',
  name: 'deleteLlmBudget',
  summary: 'Remove a budget: calls are not bound by it any more',
  params,
  answers: { 204: null },
  async handler(request) {
    const { params: given, inOwn, ownerId } = request;
    await inOwn(async (trx) => {
      const stored = await lockLlmBudget(trx, { ownerId, id: given.id });
      await removeLlmBudget(trx, stored);
      await letServe(trx, request, stored);
      await audit(
        trx,
        auditOf(request, {
          tenantId: ownerId,
          action: 'llmBudget.deleted',
          target: targetOf(stored),
          before: presentBudget(stored),
        }),
      );
    });
    return reply(204);
  },
});

export const llmBudgetRoutes = [...create, ...list, ...get, ...replace, ...remove];

// A key whose budget was spent is benched until its period ends, unless somebody says otherwise.
async function letServe(
  trx: Knex.Transaction,
  { ownerId, userId }: { ownerId: string | null; userId: string },
  { scope, subject }: LlmBudget,
): Promise<void> {
  if (scope === 'key') {
    await liftSpentKey(trx, { ownerId, keyId: subject, actorId: userId });
  }
}

// Ids are compared with those of calls, which Postgres writes in small letters.
function subjectOf({ scope, subject }: { scope: BudgetScope; subject: string | null }): string {
  const text = subject ?? '';
  return scope === 'user' || scope === 'key' ? text.toLowerCase() : text;
}

function targetOf({ id }: Pick<LlmBudget, 'id'>) {
  return { kind: 'llmBudget', id };
}
