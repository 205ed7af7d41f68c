import { AppError } from '../../domain/errors';
import { Me } from '../../domain/identity/schema';
import { acrossTenants } from '../../models/base';
import { findAccount } from '../../models/identity/accounts';
import { reply, userRoute } from '../route';
import { presentTenant, presentUser } from './present';

const getMe = userRoute({
  method: 'get',
  path: '/users/me',
  name: 'getMe',
  summary: 'Who you are, in which tenant, and what you may do there',
  tags: ['identity'],
  permission: 'self:read',
  answers: { 200: Me },
  async handler({ deps, principal, userId }) {
    const account = await acrossTenants(deps.db, 'identity', (trx) =>
      findAccount(trx, { userId, tenantId: principal.tenantId }),
    );
    if (account === null) {
      throw new AppError('unauthenticated', 'tokenInvalid', 'The token is of no user here.');
    }
    const place = principal.tenantId === null ? null : account.place;
    return reply(200, {
      user: presentUser(account.user),
      tenant: place === null ? null : presentTenant(place.tenant),
      role: place?.role ?? null,
      permissions: [...principal.permissions],
    });
  },
});

export const userRoutes = [getMe];
