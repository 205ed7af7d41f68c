import { SendingRules } from '../../domain/campaigns/rules/schema';
import { loadSendingRules, storeSendingRules } from '../../models/campaigns/sendingRules';
import { json } from '../bodies';
import { reply, route } from '../route';

const path = '/sending-rules';
const tags = ['campaigns'];

const get = route({
  method: 'get',
  path,
  name: 'getSendingRules',
  summary: 'When campaigns keep quiet, and how often they write to a customer',
  description: 'What holds for a campaign whose schedule says nothing of it.',
  tags,
  permission: 'campaign:read',
  answers: { 200: SendingRules },
  async handler({ inTenant, tenantId }) {
    return reply(200, await inTenant((trx) => loadSendingRules(trx, tenantId)));
  },
});

const replace = route({
  method: 'put',
  path,
  name: 'replaceSendingRules',
  summary: 'Write when campaigns keep quiet, and how often they write to a customer',
  description:
    'Holds for what is scheduled or rescheduled from now on; a run keeps the rules it was scheduled with.',
  tags,
  permission: 'tenant:write',
  body: json(SendingRules),
  answers: { 200: SendingRules },
  async handler({ body, inTenant, tenantId }) {
    const rules = await inTenant(async (trx) => {
      await storeSendingRules(trx, tenantId, body);
      return loadSendingRules(trx, tenantId);
    });
    return reply(200, rules);
  },
});

export const sendingRulesRoutes = [get, replace];
