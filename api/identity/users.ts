import { AppError } from '../../domain/errors';
import { Me } from '../../domain/identity/schema';
import { findAccount } from '../../models/identity/accounts';
import { reply, route } from '../route';
import { presentTenant, presentUser } from './present';

const getMe = route({
  method: 'get',
  path: '/users/me',
  name: 'getMe',
  summary: 'Who you are, and in which tenant',
  tags: ['identity'],
  permission: 'self:read',
  answers: { 200: Me },
  async handler({ inTenant, tenantId, userId }) {
    const account = await inTenant((trx) => findAccount(trx, { tenantId, userId }));
    if (account === null) {
      throw new AppError('unauthenticated', 'tokenInvalid', 'The token is of no user here.');
    }
    return reply(200, {
      user: presentUser(account.user),
      tenant: presentTenant(account.tenant),
    });
  },
});

export const userRoutes = [getMe];
