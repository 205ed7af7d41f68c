import { ProviderAccount as AccountShape } from '../../domain/messages/accounts/schema';
import { audit } from '../../models/identity/audit';
import { clearDefault, makeDefault } from '../../models/messages/accounts';
import type { ProviderAccount } from '../../models/messages/ProviderAccount';
import { auditOf, type AuditedRequest } from '../audit';
import { reply, route } from '../route';
import { presentAccount } from './present';

const tags = ['providerAccounts'];
const params = { id: 'providerAccount' } as const;

const choose = route({
  method: 'post',
  path: '/provider-accounts/:id/default',
  name: 'makeProviderAccountDefault',
  summary: 'Let the messages of its channel leave by this account',
  description: 'The default before it is none any more.',
  tags,
  permission: 'providerAccount:write',
  params,
  idempotent: true,
  answers: { 200: AccountShape },
  problems: ['accountInactive'],
  async handler(request) {
    const { params: given, inTenant, tenantId } = request;
    const account = await inTenant(async (trx) => {
      const chosen = await makeDefault(trx, { tenantId, id: given.id });
      await audit(trx, entryOf(request, 'providerAccount.madeDefault', chosen));
      return chosen;
    });
    return reply(200, presentAccount(account));
  },
});

const clear = route({
  method: 'delete',
  path: '/provider-accounts/:id/default',
  name: 'clearProviderAccountDefault',
  summary: 'Let the messages of its channel leave by the platform’s account again',
  tags,
  permission: 'providerAccount:write',
  params,
  answers: { 200: AccountShape },
  async handler(request) {
    const { params: given, inTenant, tenantId } = request;
    const account = await inTenant(async (trx) => {
      const cleared = await clearDefault(trx, { tenantId, id: given.id });
      await audit(trx, entryOf(request, 'providerAccount.defaultCleared', cleared));
      return cleared;
    });
    return reply(200, presentAccount(account));
  },
});

export const providerAccountDefaultRoutes = [choose, clear];

function entryOf(
  request: AuditedRequest,
  action: 'providerAccount.madeDefault' | 'providerAccount.defaultCleared',
  { id, channel, name }: ProviderAccount,
) {
  const target = { kind: 'providerAccount', id };
  return auditOf(request, { action, target, after: { channel, name } });
}
