import type { z } from 'zod';
import { AppError, invalidField } from '../../domain/errors';
import { differences } from '../../domain/identity/auditValues';
import { ChangePassword, WriteProfile } from '../../domain/identity/people/schema';
import { Me } from '../../domain/identity/schema';
import type { Knex } from '../../lib/db';
import { requireGoodPassword } from '../../lib/passwordRules';
import { hashPassword, isPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import { findAccount } from '../../models/identity/accounts';
import { clearAttempts } from '../../models/identity/attempts';
import { audit } from '../../models/identity/audit';
import { changePassword, replaceProfile } from '../../models/identity/profiles';
import { User } from '../../models/identity/User';
import { auditOf } from '../audit';
import { json } from '../bodies';
import type { Principal } from '../context';
import { requireUnchanged } from '../etags';
import { reply, userRoute } from '../route';
import { requireAttempt } from './checkPassword';
import { presentTenant, presentUser } from './present';

const tags = ['identity'];

const getMe = userRoute({
  method: 'get',
  path: '/users/me',
  name: 'getMe',
  summary: 'Who you are, in which tenant, and what you may do there',
  tags,
  permission: 'self:read',
  answers: { 200: Me },
  async handler({ deps, principal }) {
    return reply(200, await acrossTenants(deps.db, 'identity', (trx) => loadMe(trx, principal)));
  },
});

const replaceMe = userRoute({
  method: 'put',
  path: '/users/me',
  name: 'replaceMe',
  summary: 'Write your own profile: what is left out is cleared',
  tags,
  permission: 'self:write',
  body: json(WriteProfile),
  answers: { 200: Me },
  async handler(request) {
    const { body, deps, ifMatch, principal, userId } = request;
    const me = await acrossTenants(deps.db, 'identity', async (trx) => {
      await trx.raw('select 1 from users where id = ? for update', [userId]);
      const before = await loadMe(trx, principal);
      requireUnchanged(ifMatch, before);
      await replaceProfile(trx, userId, {
        firstName: body.firstName ?? null,
        lastName: body.lastName ?? null,
        companyName: body.companyName ?? null,
        language: body.language ?? null,
        timeZone: body.timeZone ?? null,
      });
      const after = await loadMe(trx, principal);
      // A name is the person's own: the log says which parts of the profile changed, and not to what.
      const changed = Object.keys(differences(before.user, after.user).after);
      await audit(
        trx,
        auditOf(request, {
          action: 'user.profileChanged',
          target: { kind: 'user', id: userId },
          after: { changed },
        }),
      );
      return after;
    });
    return reply(200, me);
  },
});

const replacePassword = userRoute({
  method: 'put',
  path: '/users/me/password',
  name: 'replacePassword',
  summary: 'Choose another password',
  description: 'Ends all of your other sessions; this one goes on.',
  tags,
  permission: 'self:write',
  body: json(ChangePassword),
  stepUp: true,
  answers: { 204: null },
  problems: ['wrongPassword', 'tooManyAttempts'],
  async handler(request) {
    const { body, deps, principal, userId } = request;
    const user = await acrossTenants(deps.db, 'identity', async (trx) =>
      User.query(trx).findById(userId).throwIfNotFound(),
    );
    const { passwordHash: from } = user;
    requireGoodPassword('new', body.new, {
      email: user.email,
      names: [user.companyName, user.firstName, user.lastName],
    });
    const subject = deps.addressHash(`${user.emailKey} changes the password`);
    await requireAttempt(deps, subject);
    if (!(await isPassword(body.current, from))) {
      throw wrongPassword();
    }
    // It may be known to others, which is why people change it; the other sessions would end for nothing.
    if (await isPassword(body.new, from)) {
      throw invalidField('new', 'samePassword', 'This is your present password.');
    }
    const to = await hashPassword(body.new);
    const isChanged = await acrossTenants(deps.db, 'identity', async (trx) => {
      const { sessionId } = principal;
      const changed = await changePassword(trx, { userId, from, to, sessionId });
      if (changed) {
        await clearAttempts(trx, [subject]);
        const target = { kind: 'user', id: userId };
        await audit(trx, auditOf(request, { action: 'user.passwordChanged', target }));
      }
      return changed;
    });
    if (!isChanged) {
      throw wrongPassword();
    }
    return reply(204);
  },
});

export const userRoutes = [getMe, replaceMe, replacePassword];

async function loadMe(trx: Knex.Transaction, principal: Principal): Promise<z.output<typeof Me>> {
  const { userId, tenantId } = principal;
  const account = await findAccount(trx, { userId, tenantId });
  if (account === null) {
    throw new AppError('unauthenticated', 'tokenInvalid', 'The token is of no user here.');
  }
  const place = tenantId === null ? null : account.place;
  return {
    user: presentUser(account.user),
    tenant: place === null ? null : presentTenant(place.tenant),
    role: place?.role ?? null,
    permissions: [...principal.permissions],
  };
}

function wrongPassword(): AppError {
  return new AppError('forbidden', 'wrongPassword', 'This is not your present password.');
}
