import { z } from 'zod';
import { ChangeRole, Member } from '../../domain/identity/people/schema';
import { acrossTenants } from '../../models/base';
import { audit } from '../../models/identity/audit';
import {
  changeRole,
  memberSorts,
  membersOf,
  removeMember,
  requireMember,
} from '../../models/identity/members';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { listPage } from '../lists';
import { reply, route, userRoute } from '../route';
import { requireOwnTenant } from './ownTenant';
import { presentMember } from './present';
import { ListMembers } from './requests';

const tags = ['identity'];
const params = { id: 'tenant', userId: 'user' } as const;

// People are not of one tenant, so what changes their place in one looks across, and names the tenant
// in each statement.
const list = route({
  method: 'get',
  path: '/tenants/:id/users',
  name: 'listMembers',
  summary: 'List who works in the tenant',
  tags,
  permission: 'member:read',
  params: { id: 'tenant' },
  query: ListMembers,
  answers: { 200: z.array(Member) },
  async handler(request) {
    requireOwnTenant(request);
    const { inTenant, tenantId, query } = request;
    const { data, meta } = await inTenant((trx) =>
      listPage(membersOf(trx, tenantId, query), {
        list: query,
        sorts: memberSorts,
        present: presentMember,
        idColumn: 'memberships.user_id',
      }),
    );
    return reply(200, data, { meta });
  },
});

const change = route({
  method: 'put',
  path: '/tenants/:id/users/:userId',
  name: 'changeRole',
  summary: 'Give somebody another role in the tenant',
  description: 'It holds from their next request on. There is always an owner.',
  tags,
  permission: 'member:write',
  params,
  body: json(ChangeRole),
  answers: { 200: Member },
  problems: ['lastOwner'],
  async handler(request) {
    requireOwnTenant(request);
    const { deps, tenantId, ifMatch, userId: actorId, params: path, body } = request;
    const key = { tenantId, userId: path.userId };
    const member = await acrossTenants(deps.db, 'identity', async (trx) => {
      const { before } = await changeRole(trx, { ...key, actorId, role: body.role });
      const changed = await requireMember(trx, key);
      requireUnchanged(ifMatch, { ...presentMember(changed), role: before });
      await audit(
        trx,
        auditOf(request, {
          action: 'member.roleChanged',
          target: { kind: 'user', id: key.userId },
          before: { role: before },
          after: { role: body.role },
        }),
      );
      return changed;
    });
    return reply(200, presentMember(member));
  },
});

const leave = userRoute({
  method: 'delete',
  path: '/tenants/:id/users/me',
  name: 'leaveTenant',
  summary: 'Leave a tenant of yours',
  description: 'The last owner cannot leave: make somebody else an owner, or end the tenant.',
  tags,
  permission: 'self:write',
  params: { id: 'tenant' },
  answers: { 204: null },
  problems: ['lastOwner', 'userNotFound'],
  async handler(request) {
    const { deps, userId } = request;
    const tenantId = request.params.id;
    await acrossTenants(deps.db, 'identity', async (trx) => {
      const { before } = await removeMember(trx, { tenantId, userId, actorId: userId });
      await audit(
        trx,
        auditOf(request, {
          action: 'member.left',
          tenantId,
          target: { kind: 'user', id: userId },
          before: { role: before },
        }),
      );
    });
    return reply(204);
  },
});

const remove = route({
  method: 'delete',
  path: '/tenants/:id/users/:userId',
  name: 'removeMember',
  summary: 'Take somebody out of the tenant',
  description: 'Their tokens for it open nothing any more; API keys they made stay.',
  tags,
  permission: 'member:write',
  params,
  answers: { 204: null },
  problems: ['lastOwner'],
  async handler(request) {
    requireOwnTenant(request);
    const { deps, tenantId, userId: actorId } = request;
    const { userId } = request.params;
    await acrossTenants(deps.db, 'identity', async (trx) => {
      const { before } = await removeMember(trx, { tenantId, userId, actorId });
      await audit(
        trx,
        auditOf(request, {
          action: userId === actorId ? 'member.left' : 'member.removed',
          target: { kind: 'user', id: userId },
          before: { role: before },
        }),
      );
    });
    return reply(204);
  },
});

// `me` before `:userId`, which would take it for an id.
export const memberRoutes = [list, change, leave, remove];
