import { LlmSettings, ReplaceLlmSettings } from '../../domain/llm/spending/schema';
import { differences } from '../../domain/identity/auditValues';
import { audit } from '../../models/identity/audit';
import { lockLlmSettings, readLlmSettings, replaceLlmSettings } from '../../models/llm/settings';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { reply, route } from '../route';
import { presentLlmSettings } from './presentSpending';

const tags = ['llm'];

const get = route({
  method: 'get',
  path: '/llm/settings',
  name: 'getLlmSettings',
  summary: 'How your calls of language models are made',
  tags,
  permission: 'llmUsage:read',
  answers: { 200: LlmSettings },
  async handler({ inTenant, tenantId }) {
    return reply(200, presentLlmSettings(await inTenant((trx) => readLlmSettings(trx, tenantId))));
  },
});

const replace = route({
  method: 'put',
  path: '/llm/settings',
  name: 'replaceLlmSettings',
  summary: 'Write how your calls of language models are made: what is left out is as it began',
  description: 'They hold from the next call on.',
  tags,
  permission: 'llmBudget:write',
  body: json(ReplaceLlmSettings),
  answers: { 200: LlmSettings },
  async handler(request) {
    const { body, ifMatch, inTenant, tenantId } = request;
    await inTenant(async (trx) => {
      const before = presentLlmSettings(await lockLlmSettings(trx, tenantId));
      requireUnchanged(ifMatch, before);
      await replaceLlmSettings(trx, tenantId, body);
      await audit(
        trx,
        auditOf(request, {
          action: 'llmSettings.changed',
          target: { kind: 'tenant', id: tenantId },
          ...differences(before, presentLlmSettings(body)),
        }),
      );
    });
    return reply(200, presentLlmSettings(body));
  },
});

export const llmSettingsRoutes = [get, replace];
