import { v5 } from 'uuid';
import { z } from 'zod';
import {
  MyTenant,
  SwitchedTenant,
  SwitchTenant,
  WriteTenant,
} from '../../domain/identity/people/schema';
import { Tenant as TenantShape } from '../../domain/identity/schema';
import { differences } from '../../domain/identity/auditValues';
import { AppError, notFound } from '../../domain/errors';
import { newId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { audit } from '../../models/identity/audit';
import {
  createTenant,
  endTenant,
  lockTenant,
  replaceTenant,
  requireTenant,
  switchTenant,
  tenantSorts,
  tenantsOf,
} from '../../models/identity/tenants';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { requireUsableKey } from '../idempotency';
import { listPage } from '../lists';
import { tellWorkflows } from '../platform/tellWorkflows';
import { basePath, reply, route, userRoute } from '../route';
import { requireOwnTenant } from './ownTenant';
import { presentMyTenant, presentTenant } from './present';
import { ListTenants } from './requests';

const tags = ['identity'];
const params = { id: 'tenant' } as const;

const list = userRoute({
  method: 'get',
  path: '/tenants',
  name: 'listTenants',
  summary: 'List the tenants you work in',
  tags,
  permission: 'self:read',
  query: ListTenants,
  answers: { 200: z.array(MyTenant) },
  async handler({ query, deps, userId }) {
    const { data, meta } = await acrossTenants(deps.db, 'identity', (trx) =>
      listPage(tenantsOf(trx, userId), {
        list: query,
        sorts: tenantSorts,
        present: presentMyTenant,
        idColumn: 'tenants.id',
      }),
    );
    return reply(200, data, { meta });
  },
});

const create = userRoute({
  method: 'post',
  path: '/tenants',
  name: 'createTenant',
  summary: 'Create a tenant, and own it',
  description: 'Your token stays where it is: switch to the new tenant to work there.',
  tags,
  permission: 'self:write',
  body: json(WriteTenant),
  idempotent: true,
  answers: { 201: TenantShape },
  problems: ['idempotencyKeyReused', 'tooManyTenants'],
  async handler(request) {
    const { body, deps, userId, idempotencyKey } = request;
    const id = tenantIdFor(userId, idempotencyKey);
    const tenant = await acrossTenants(deps.db, 'identity', async (trx) => {
      const made = await createTenant(trx, { id, userId, values: body });
      if (made.isNew) {
        const target = { kind: 'tenant', id };
        await audit(trx, auditOf(request, { action: 'tenant.created', tenantId: id, target }));
      }
      return made.tenant;
    });
    return reply(201, presentTenant(tenant), {
      headers: { Location: `${basePath}/tenants/${tenant.id}` },
    });
  },
});

const get = route({
  method: 'get',
  path: '/tenants/:id',
  name: 'getTenant',
  summary: 'Read the tenant you work in',
  description: 'Switch to read another one of yours.',
  tags,
  permission: 'tenant:read',
  params,
  answers: { 200: TenantShape },
  async handler(request) {
    requireOwnTenant(request);
    const { inTenant, tenantId } = request;
    return reply(200, presentTenant(await inTenant((trx) => requireTenant(trx, tenantId))));
  },
});

const replace = route({
  method: 'put',
  path: '/tenants/:id',
  name: 'replaceTenant',
  summary: 'Write the name, time zone and languages of the tenant you work in',
  tags,
  permission: 'tenant:write',
  params,
  body: json(WriteTenant),
  answers: { 200: TenantShape },
  async handler(request) {
    requireOwnTenant(request);
    const { inTenant, tenantId, body, ifMatch } = request;
    const tenant = await inTenant(async (trx) => {
      const before = presentTenant(await lockTenant(trx, tenantId));
      requireUnchanged(ifMatch, before);
      const written = await replaceTenant(trx, tenantId, body);
      await audit(
        trx,
        auditOf(request, {
          action: 'tenant.changed',
          target: { kind: 'tenant', id: tenantId },
          ...differences(before, presentTenant(written)),
        }),
      );
      return written;
    });
    return reply(200, presentTenant(tenant));
  },
});

const end = route({
  method: 'delete',
  path: '/tenants/:id',
  name: 'endTenant',
  summary: 'End the tenant you work in',
  description:
    'Its campaigns are cancelled, nobody works in it any more, and its API keys and open invitations are over. Its data stays until the platform erases it.',
  tags,
  permission: 'tenant:write',
  params,
  stepUp: true,
  answers: { 204: null },
  async handler(request) {
    requireOwnTenant(request);
    const { inTenant, tenantId, deps } = request;
    const cancelled = await inTenant(async (trx) => {
      await lockTenant(trx, tenantId);
      const campaigns = await endTenant(trx, tenantId);
      await audit(
        trx,
        auditOf(request, {
          action: 'tenant.ended',
          target: { kind: 'tenant', id: tenantId },
          after: { cancelledCampaigns: campaigns.length },
        }),
      );
      return campaigns;
    });
    await tellWorkflows(deps, cancelled);
    return reply(204);
  },
});

const change = userRoute({
  method: 'post',
  path: '/auth/switch-tenant',
  name: 'switchTenant',
  summary: 'Go on in another tenant of yours',
  description:
    'The session and its refresh token stay; tokens it gave out before go on working where they did until they are over.',
  tags,
  permission: 'self:write',
  body: json(SwitchTenant),
  answers: { 200: SwitchedTenant },
  problems: ['tenantNotFound', 'tenantSuspended'],
  async handler(request) {
    const { body, deps, userId, principal } = request;
    const { tenantId } = body;
    const { sessionId } = principal;
    if (sessionId === null) {
      throw new Error('A person came without a session');
    }
    const place = await acrossTenants(deps.db, 'identity', async (trx) => {
      const found = await switchTenant(trx, { sessionId, userId, tenantId });
      if (found?.isSuspended === false) {
        await audit(trx, auditOf(request, { action: 'user.tenantSwitched', tenantId }));
      }
      return found;
    });
    if (place === null) {
      throw notFound('tenant');
    }
    if (place.isSuspended) {
      throw new AppError('forbidden', 'tenantSuspended', 'This tenant is suspended; ask support.');
    }
    return reply(200, {
      accessToken: deps.accessTokens.issue({ userId, sessionId, tenantId }),
      expiresIn: deps.accessTokens.lifetimeSeconds,
      tenantId,
      role: place.role,
    });
  },
});

export const tenantRoutes = [list, create, get, replace, end, change];

// Somebody in no tenant has no place of their own to keep answers in, so the key makes the id, too.
const tenantNamespace = '0d7c9a3e-6a0f-5d86-9a53-0f6f0a2d7b44';

function tenantIdFor(userId: string, idempotencyKey: string | undefined): string {
  if (idempotencyKey === undefined) {
    return newId();
  }
  requireUsableKey(idempotencyKey);
  return v5(`${userId} ${idempotencyKey}`, tenantNamespace);
}
