import { SendingRules } from '../../domain/campaigns/rules/schema';
import { differences } from '../../domain/identity/auditValues';
import { loadSendingRules, storeSendingRules } from '../../models/campaigns/sendingRules';
import { audit } from '../../models/identity/audit';
import { auditOf } from '../audit';
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
  async handler(request) {
    const { body, inTenant, tenantId } = request;
    const rules = await inTenant(async (trx) => {
      const before = await loadSendingRules(trx, tenantId);
      await storeSendingRules(trx, tenantId, body);
      const after = await loadSendingRules(trx, tenantId);
      const target = { kind: 'tenant', id: tenantId };
      const changed = differences({ ...before }, { ...after });
      const action = 'tenant.sendingRulesChanged';
      await audit(trx, auditOf(request, { action, target, ...changed }));
      return after;
    });
    return reply(200, rules);
  },
});

export const sendingRulesRoutes = [get, replace];
