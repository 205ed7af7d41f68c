import { z } from 'zod';
import { PlatformStats, PlatformTenant, Suspend } from '../../domain/identity/platform/schema';
import { audit } from '../../models/identity/audit';
import {
  allTenants,
  countPlatform,
  platformTenantSorts,
  requirePlatformTenant,
  resumeTenant,
  suspendTenant,
} from '../../models/identity/platform';
import { countLlm } from '../../models/llm/stats';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { listPage } from '../lists';
import { adminRoute, reply } from '../route';
import { presentPlatformTenant } from './present';
import { ListPlatformTenants } from './requests';
import { tellWorkflows } from './tellWorkflows';

const tags = ['platform'];
const params = { id: 'tenant' } as const;

const list = adminRoute({
  method: 'get',
  path: '/admin/tenants',
  name: 'listAllTenants',
  summary: 'List all tenants',
  tags,
  permission: 'platform:read',
  query: ListPlatformTenants,
  answers: { 200: z.array(PlatformTenant) },
  async handler({ query, acrossTenants }) {
    const { data, meta } = await acrossTenants((trx) =>
      listPage(allTenants(trx, query), {
        list: query,
        sorts: platformTenantSorts,
        present: presentPlatformTenant,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = adminRoute({
  method: 'get',
  path: '/admin/tenants/:id',
  name: 'getAnyTenant',
  summary: 'Read any tenant',
  tags,
  permission: 'platform:read',
  params,
  answers: { 200: PlatformTenant },
  async handler({ params: { id }, acrossTenants }) {
    return reply(
      200,
      presentPlatformTenant(await acrossTenants((trx) => requirePlatformTenant(trx, id))),
    );
  },
});

const suspend = adminRoute({
  method: 'post',
  path: '/admin/tenants/:id/suspend',
  name: 'suspendTenant',
  summary: 'Suspend a tenant: nobody works in it, and nothing of it leaves',
  description:
    'Holds as soon as this answers. Links and unsubscribing in what has left go on working, and so does counting what comes in about it. A tenant that is suspended keeps its reason.',
  tags,
  permission: 'platform:write',
  params,
  body: json(Suspend),
  answers: { 200: PlatformTenant },
  async handler(request) {
    const { params: path, body, acrossTenants, deps } = request;
    const { turned, tenant } = await acrossTenants(async (trx) => {
      const done = await suspendTenant(trx, { id: path.id, reason: body.reason });
      if (done.isChanged) {
        await audit(
          trx,
          auditOf(request, {
            action: 'tenant.suspended',
            tenantId: path.id,
            target: { kind: 'tenant', id: path.id },
            after: { reason: body.reason, pausedCampaigns: done.campaigns.length },
          }),
        );
      }
      return { turned: done.campaigns, tenant: await requirePlatformTenant(trx, path.id) };
    });
    await tellWorkflows(deps, turned);
    return reply(200, presentPlatformTenant(tenant));
  },
});

const resume = adminRoute({
  method: 'post',
  path: '/admin/tenants/:id/resume',
  name: 'resumeTenant',
  summary: 'Let a suspended tenant go on, with what its suspension paused',
  description:
    'What its people had paused stays paused. A tenant that its owner had ended comes back, too, without what was cancelled by that.',
  tags,
  permission: 'platform:write',
  params,
  answers: { 200: PlatformTenant },
  async handler(request) {
    const { params: path, acrossTenants, deps } = request;
    const { turned, tenant } = await acrossTenants(async (trx) => {
      const done = await resumeTenant(trx, path.id);
      if (done.isChanged) {
        await audit(
          trx,
          auditOf(request, {
            action: 'tenant.resumed',
            tenantId: path.id,
            target: { kind: 'tenant', id: path.id },
            after: { resumedCampaigns: done.campaigns.length },
          }),
        );
      }
      return { turned: done.campaigns, tenant: await requirePlatformTenant(trx, path.id) };
    });
    await tellWorkflows(deps, turned);
    return reply(200, presentPlatformTenant(tenant));
  },
});

const stats = adminRoute({
  method: 'get',
  path: '/admin/stats',
  name: 'getPlatformStats',
  summary: 'How many tenants, people and runs there are, and how language models are used',
  tags,
  permission: 'platform:read',
  answers: { 200: PlatformStats },
  async handler({ acrossTenants }) {
    const stats = await acrossTenants(async (trx) => ({
      ...(await countPlatform(trx)),
      llm: await countLlm(trx),
    }));
    return reply(200, stats);
  },
});

export const platformTenantRoutes = [list, get, suspend, resume, stats];
