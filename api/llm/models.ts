import { z } from 'zod';
import { ChangeLlmModel, LlmModel, PlatformLlmModel } from '../../domain/llm/spending/schema';
import { differences } from '../../domain/identity/auditValues';
import { audit } from '../../models/identity/audit';
import {
  changeLlmModel,
  llmModelSorts,
  llmModelsWhere,
  lockLlmModels,
  requireLlmModel,
} from '../../models/llm/catalogueEntries';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { listPage } from '../lists';
import { adminRoute, reply, route } from '../route';
import { presentLlmModel, presentPlatformLlmModel } from './presentSpending';
import { ListLlmModels, ListPlatformLlmModels } from './spendingRequests';

const tags = ['llm'];
// Its name has a slash, which is written %2F in a path.
const params = {
  id: { what: 'llmModel', schema: z.string().regex(/^[\w./:@-]{1,200}$/) },
} as const;
const paged = { sorts: llmModelSorts, idColumn: 'llm_models.id', idType: 'text' } as const;

const list = route({
  method: 'get',
  path: '/llm/models',
  name: 'listLlmModels',
  summary: 'List the language models that can be asked, with what they cost',
  tags,
  permission: 'llm:use',
  query: ListLlmModels,
  answers: { 200: z.array(LlmModel) },
  async handler({ query, inTenant }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(llmModelsWhere(trx, query, { isOffered: true }), {
        ...paged,
        list: query,
        hasColumns: true,
        present: presentLlmModel,
      }),
    );
    return reply(200, data, { meta });
  },
});

const listAll = adminRoute({
  method: 'get',
  path: '/admin/llm/models',
  name: 'listPlatformLlmModels',
  summary: 'List all language models, with those that are switched off or gone',
  tags,
  permission: 'platform:read',
  query: ListPlatformLlmModels,
  answers: { 200: z.array(PlatformLlmModel) },
  async handler({ query, acrossTenants }) {
    const { data, meta } = await acrossTenants((trx) =>
      listPage(llmModelsWhere(trx, query, { isOffered: false }), {
        ...paged,
        list: query,
        hasColumns: true,
        present: presentPlatformLlmModel,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = adminRoute({
  method: 'get',
  path: '/admin/llm/models/:id',
  name: 'getPlatformLlmModel',
  summary: 'Read one language model; the slash of its name is written %2F',
  tags,
  permission: 'platform:read',
  params,
  answers: { 200: PlatformLlmModel },
  async handler({ params: { id }, acrossTenants }) {
    return reply(
      200,
      presentPlatformLlmModel(await acrossTenants((trx) => requireLlmModel(trx, id))),
    );
  },
});

const change = adminRoute({
  method: 'patch',
  path: '/admin/llm/models/:id',
  name: 'changePlatformLlmModel',
  summary: 'Switch a language model on or off, make it the default, or say what stands in for it',
  description: 'What is left out stays. It holds from the next call on.',
  tags,
  permission: 'platform:write',
  params,
  body: json(ChangeLlmModel),
  answers: { 200: PlatformLlmModel },
  async handler(request) {
    const { params: given, body, ifMatch, acrossTenants } = request;
    const model = await acrossTenants(async (trx) => {
      await lockLlmModels(trx);
      const stored = await requireLlmModel(trx, given.id);
      const before = presentPlatformLlmModel(stored);
      requireUnchanged(ifMatch, before);
      const changed = await changeLlmModel(trx, stored, body);
      await audit(
        trx,
        auditOf(request, {
          tenantId: null,
          action: 'llmModel.changed',
          target: { kind: 'llmModel', id: stored.id },
          ...differences(before, presentPlatformLlmModel(changed)),
        }),
      );
      return changed;
    });
    return reply(200, presentPlatformLlmModel(model));
  },
});

export const llmModelRoutes = [list, listAll, get, change];
