import { z } from 'zod';
import {
  ApiKey as ApiKeyShape,
  NewApiKey,
  WriteApiKey,
} from '../../domain/identity/apiKeys/schema';
import { differences } from '../../domain/identity/auditValues';
import { newApiKey } from '../../lib/apiKeys';
import type { Knex } from '../../lib/db';
import type { ApiKey } from '../../models/identity/ApiKey';
import {
  apiKeySorts,
  apiKeysOf,
  createApiKey,
  lockApiKey,
  replaceApiKey,
  requireApiKey,
  revokeApiKey,
} from '../../models/identity/apiKeys';
import { acrossTenantsWithin } from '../../models/base';
import { audit } from '../../models/identity/audit';
import { requireStillAllowed } from '../../models/identity/members';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { etagOf, requireUnchanged } from '../etags';
import { listPage } from '../lists';
import { basePath, reply, route, type TenantRequest } from '../route';
import { actorOf } from './actor';
import { presentApiKey } from './present';
import { ListApiKeys } from './requests';

const tags = ['identity'];
const params = { id: 'apiKey' } as const;

const create = route({
  method: 'post',
  path: '/api-keys',
  name: 'createApiKey',
  summary: 'Create an API key, which is shown this once',
  description:
    'Send it as "Authorization: Bearer ck_…". Its scopes are its own: it goes on when whoever made it leaves the tenant. What is kept of it opens nothing, so that a repeated request does not show it again.',
  tags,
  permission: 'apiKey:write',
  body: json(WriteApiKey),
  idempotent: true,
  stepUp: true,
  answers: { 201: NewApiKey },
  problems: ['quotaReached'],
  async handler(request) {
    const { body, inTenant, tenantId, userId, idempotentId } = request;
    const made = newApiKey();
    const key = { tenantId, id: idempotentId(), createdBy: userId };
    const shown = await inTenant(async (trx) => {
      await requireStillOwner(trx, request);
      const created = presentApiKey(await createApiKey(trx, key, made, body));
      await audit(
        trx,
        auditOf(request, {
          id: key.id,
          action: 'apiKey.created',
          target: { kind: 'apiKey', id: key.id },
          after: audited(created),
        }),
      );
      return created;
    });
    return reply(
      201,
      { ...shown, key: made.key },
      {
        repeated: { ...shown, key: null },
        headers: { Location: `${basePath}/api-keys/${shown.id}` },
      },
    );
  },
});

const list = route({
  method: 'get',
  path: '/api-keys',
  name: 'listApiKeys',
  summary: 'List the API keys of the tenant, also those that are over',
  tags,
  permission: 'apiKey:read',
  query: ListApiKeys,
  answers: { 200: z.array(ApiKeyShape) },
  async handler({ query, inTenant, tenantId }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(apiKeysOf(trx, tenantId, query), {
        list: query,
        sorts: apiKeySorts,
        present: presentApiKey,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = route({
  method: 'get',
  path: '/api-keys/:id',
  name: 'getApiKey',
  summary: 'Read what an API key opens, and when it was last used',
  tags,
  permission: 'apiKey:read',
  params,
  answers: { 200: ApiKeyShape },
  async handler({ params: { id }, inTenant, tenantId }) {
    const key = await inTenant((trx) => requireApiKey(trx, { tenantId, id }));
    return reply(200, presentApiKey(key), { etag: validatorOf(key) });
  },
});

const replace = route({
  method: 'put',
  path: '/api-keys/:id',
  name: 'replaceApiKey',
  summary: 'Write what an API key opens, until when and from where',
  description: 'The key itself stays, and is not shown.',
  tags,
  permission: 'apiKey:write',
  params,
  body: json(WriteApiKey),
  stepUp: true,
  answers: { 200: ApiKeyShape },
  problems: ['apiKeyRevoked'],
  async handler(request) {
    const { params: path, body, ifMatch, inTenant, tenantId } = request;
    const key = await inTenant(async (trx) => {
      await requireStillOwner(trx, request);
      const stored = await lockApiKey(trx, { tenantId, id: path.id });
      requireUnwritten(ifMatch, stored);
      const written = await replaceApiKey(trx, stored, body);
      await audit(
        trx,
        auditOf(request, {
          action: 'apiKey.changed',
          target: { kind: 'apiKey', id: path.id },
          ...differences(audited(presentApiKey(stored)), audited(presentApiKey(written))),
        }),
      );
      return written;
    });
    return reply(200, presentApiKey(key), { etag: validatorOf(key) });
  },
});

const revoke = route({
  method: 'delete',
  path: '/api-keys/:id',
  name: 'revokeApiKey',
  summary: 'Revoke an API key for good',
  description: 'It opens nothing from this answer on; it stays in the list.',
  tags,
  permission: 'apiKey:write',
  params,
  answers: { 204: null },
  async handler(request) {
    const { params: path, inTenant, tenantId } = request;
    await inTenant(async (trx) => {
      const key = await lockApiKey(trx, { tenantId, id: path.id });
      if (await revokeApiKey(trx, key)) {
        const target = { kind: 'apiKey', id: key.id };
        await audit(trx, auditOf(request, { action: 'apiKey.revoked', target }));
      }
    });
    return reply(204);
  },
});

export const apiKeyRoutes = [create, list, get, replace, revoke];

function requireStillOwner(
  trx: Knex.Transaction,
  request: Pick<TenantRequest<object, unknown, unknown>, 'tenantId' | 'userId' | 'principal'>,
): Promise<void> {
  const { tenantId } = request;
  return acrossTenantsWithin(trx, { tenantId, purpose: 'identity' }, (within) =>
    requireStillAllowed(within, actorOf(request), 'apiKey:write'),
  );
}

// When a key was last used is shown, but is no change of it: its validator has a part of either.
function validatorOf(key: ApiKey): string {
  return `${etagOf(versionOf(key)).slice(0, -1)}.${etagOf(presentApiKey(key)).slice(1)}`;
}

function requireUnwritten(ifMatch: string | undefined, key: ApiKey): void {
  requireUnchanged(ifMatch?.replace(/\.[\w-]{22}(?=")/g, ''), versionOf(key));
}

function versionOf(key: ApiKey) {
  const { lastUsedAt: _at, lastUsedIp: _ip, ...version } = presentApiKey(key);
  return version;
}

function audited({ name, scopes, expiresAt, allowedIps }: z.output<typeof ApiKeyShape>) {
  return { name, scopes, expiresAt, allowedIps };
}
