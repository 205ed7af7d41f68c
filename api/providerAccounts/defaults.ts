import { ProviderAccount as AccountShape } from '../../domain/messages/accounts/schema';
import { clearDefault, makeDefault } from '../../models/messages/accounts';
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
  async handler({ params: { id }, inTenant, tenantId }) {
    const account = await inTenant((trx) => makeDefault(trx, { tenantId, id }));
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
  async handler({ params: { id }, inTenant, tenantId }) {
    const account = await inTenant((trx) => clearDefault(trx, { tenantId, id }));
    return reply(200, presentAccount(account));
  },
});

export const providerAccountDefaultRoutes = [choose, clear];
