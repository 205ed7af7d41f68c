import { z } from 'zod';
import {
  Impersonate,
  Impersonation,
  PlatformUser,
  PlatformUserDetail,
  Suspend,
} from '../../domain/identity/platform/schema';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { audit } from '../../models/identity/audit';
import { impersonate, impersonationMinutes } from '../../models/identity/impersonation';
import {
  allUsers,
  platformUserSorts,
  requireUser,
  resumeUser,
  suspendUser,
} from '../../models/identity/platform';
import { tenantsOf } from '../../models/identity/tenants';
import { auditOf, ipOf } from '../audit';
import { json } from '../bodies';
import { listPage } from '../lists';
import { adminRoute, reply } from '../route';
import { presentPlatformUser } from './present';
import { ListPlatformUsers } from './requests';

const tags = ['platform'];
const params = { id: 'user' } as const;

const list = adminRoute({
  method: 'get',
  path: '/admin/users',
  name: 'listAllUsers',
  summary: 'List everybody who has an account',
  tags,
  permission: 'platform:read',
  query: ListPlatformUsers,
  answers: { 200: z.array(PlatformUser) },
  async handler({ query, acrossTenants }) {
    const { data, meta } = await acrossTenants((trx) =>
      listPage(allUsers(trx, query), {
        list: query,
        sorts: platformUserSorts,
        present: presentPlatformUser,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = adminRoute({
  method: 'get',
  path: '/admin/users/:id',
  name: 'getAnyUser',
  summary: 'Read an account, and where its person works',
  tags,
  permission: 'platform:read',
  params,
  answers: { 200: PlatformUserDetail },
  async handler({ params: { id }, acrossTenants }) {
    return reply(200, await acrossTenants((trx) => loadDetail(trx, id)));
  },
});

const suspend = adminRoute({
  method: 'post',
  path: '/admin/users/:id/suspend',
  name: 'suspendUser',
  summary: 'Suspend a person everywhere: their sessions end, and keys they made open nothing',
  tags,
  permission: 'platform:write',
  params,
  body: json(Suspend),
  answers: { 200: PlatformUserDetail },
  problems: ['ownAccount'],
  async handler(request) {
    const { params: path, body, userId, acrossTenants } = request;
    const user = await acrossTenants(async (trx) => {
      const { id } = path;
      const done = await suspendUser(trx, { id, reason: body.reason, actorId: userId });
      if (done.isChanged) {
        await audit(
          trx,
          auditOf(request, {
            action: 'user.suspended',
            tenantId: null,
            target: { kind: 'user', id },
            after: { reason: body.reason },
          }),
        );
      }
      return loadDetail(trx, id);
    });
    return reply(200, user);
  },
});

const resume = adminRoute({
  method: 'post',
  path: '/admin/users/:id/resume',
  name: 'resumeUser',
  summary: 'Let a suspended person sign in again',
  tags,
  permission: 'platform:write',
  params,
  answers: { 200: PlatformUserDetail },
  async handler(request) {
    const { params: path, acrossTenants } = request;
    const user = await acrossTenants(async (trx) => {
      const { id } = path;
      const done = await resumeUser(trx, id);
      if (done.isChanged) {
        const target = { kind: 'user', id };
        await audit(trx, auditOf(request, { action: 'user.resumed', tenantId: null, target }));
      }
      return loadDetail(trx, id);
    });
    return reply(200, user);
  },
});

const act = adminRoute({
  method: 'post',
  path: '/admin/users/:id/impersonate',
  name: 'impersonateUser',
  summary: 'Act as somebody in one of their tenants, for an hour',
  description:
    'Their profile, the tenant, its members and its API keys cannot be changed so, and nothing that asks for step-up is done. The tenant’s audit log tells of it, and names you in each entry.',
  tags,
  permission: 'platform:impersonate',
  params,
  body: json(Impersonate),
  stepUp: true,
  answers: { 201: Impersonation },
  problems: ['notImpersonable', 'tenantNotFound', 'userNotFound'],
  async handler(request) {
    const { params: path, body, userId: adminId, acrossTenants, context, deps } = request;
    const session = { id: newId(), userId: path.id, tenantId: body.tenantId };
    const { role } = await acrossTenants(async (trx) => {
      const begun = await impersonate(trx, {
        ...session,
        adminId,
        ip: ipOf(context),
        userAgent: null,
      });
      await audit(
        trx,
        auditOf(request, {
          action: 'user.impersonated',
          tenantId: body.tenantId,
          target: { kind: 'user', id: path.id },
          after: { reason: body.reason, sessionId: session.id },
        }),
      );
      return begun;
    });
    const expiresIn = impersonationMinutes * 60;
    const { id: sessionId, userId, tenantId } = session;
    return reply(201, {
      accessToken: deps.accessTokens.issue({ userId, sessionId, tenantId }, expiresIn),
      expiresIn,
      sessionId,
      userId,
      tenantId,
      role,
    });
  },
});

export const platformUserRoutes = [list, get, suspend, resume, act];

async function loadDetail(
  trx: Knex.Transaction,
  id: string,
): Promise<z.output<typeof PlatformUserDetail>> {
  const user = await requireUser(trx, id);
  const tenants = await tenantsOf(trx, id)
    .select('tenants.*')
    .orderBy('tenants.id')
    .then((found) => found.map(({ id: tenantId, name, role }) => ({ id: tenantId, name, role })));
  return { ...presentPlatformUser(user), tenants };
}
