import { z } from 'zod';
import { differences } from '../../domain/identity/auditValues';
import { ChangeLlmKey, LlmKey as KeyShape, WriteLlmKey } from '../../domain/llm/keys/schema';
import { audit } from '../../models/identity/audit';
import {
  changeLlmKey,
  createLlmKey,
  llmKeySorts,
  llmKeysOf,
  lockLlmKey,
  removeLlmKey,
  requireLlmKey,
  requireRoomForKey,
} from '../../models/llm/keys';
import type { LlmKey } from '../../models/llm/LlmKey';
import { auditOf } from '../audit';
import { json } from '../bodies';
import type { ApiDeps } from '../deps';
import { requireUnchanged } from '../etags';
import { fieldsOf, listPage } from '../lists';
import { basePath, reply } from '../route';
import { ownedRoutes } from './owned';
import { presentLlmKey } from './present';
import { ListLlmKeys } from './requests';

const shared = { tags: ['llm'] } as const;
const reading = { permission: 'llmKey:read', platformPermission: 'platform:read' } as const;
const writing = { permission: 'llmKey:write', platformPermission: 'platform:write' } as const;
const params = { id: 'llmKey' } as const;

const create = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys',
  name: 'createLlmKey',
  summary: 'Add a key to an account at a vendor of language models',
  description: 'It is stored sealed, never shown again, and chosen for calls from now on.',
  body: json(WriteLlmKey),
  idempotent: true,
  answers: { 201: KeyShape },
  problems: ['llmKeyKnown', 'llmKeysTooMany'],
  async handler(request) {
    const { body, deps, inOwn, ownerId, userId, idempotentId } = request;
    const values = { ...body, expiresAt: instantOf(body.expiresAt), createdBy: userId };
    const key = await inOwn(async (trx) => {
      const id = idempotentId();
      await requireRoomForKey(trx, { ownerId, id });
      const created = await createLlmKey(trx, deps.sealing, { ownerId, id }, values);
      await audit(
        trx,
        auditOf(request, {
          id: created.id,
          tenantId: ownerId,
          action: 'llmKey.created',
          target: targetOf(created),
          after: presentLlmKey(created),
        }),
      );
      return created;
    });
    tellKeyring(request, key);
    const folder = ownerId === null ? '/admin/llm/keys' : '/llm/keys';
    return reply(201, presentLlmKey(key), {
      headers: { Location: `${basePath}${folder}/${key.id}` },
    });
  },
});

const list = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/keys',
  name: 'listLlmKeys',
  summary: 'List keys at vendors of language models',
  query: ListLlmKeys,
  answers: { 200: z.array(KeyShape) },
  async handler({ query, inOwn, ownerId }) {
    const { data, meta } = await inOwn((trx) =>
      listPage(llmKeysOf(trx, ownerId, query), {
        list: query,
        sorts: llmKeySorts,
        hasColumns: true,
        present: presentLlmKey,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/keys/:id',
  name: 'getLlmKey',
  summary: 'Read one key, but for the key itself',
  params,
  query: z.strictObject({ fields: fieldsOf(KeyShape).optional() }),
  answers: { 200: KeyShape },
  async handler({ params: { id }, inOwn, ownerId }) {
    const key = await inOwn((trx) => requireLlmKey(trx, { ownerId, id }));
    return reply(200, presentLlmKey(key));
  },
});

const change = ownedRoutes({
  ...shared,
  ...writing,
  method: 'patch',
  path: '/llm/keys/:id',
  name: 'changeLlmKey',
  summary: 'Change a key’s label, share and limits: what is left out stays',
  description: 'What opens it is changed by `rotate` and `replace`.',
  params,
  body: json(ChangeLlmKey),
  answers: { 200: KeyShape },
  async handler(request) {
    const { params: given, body, ifMatch, inOwn, ownerId } = request;
    const { expiresAt, ...values } = body;
    const key = await inOwn(async (trx) => {
      const stored = await lockLlmKey(trx, { ownerId, id: given.id });
      const before = presentLlmKey(stored);
      requireUnchanged(ifMatch, before);
      const changed = await changeLlmKey(trx, stored, {
        ...values,
        ...(expiresAt === undefined ? {} : { expiresAt: instantOf(expiresAt) }),
      });
      await audit(
        trx,
        auditOf(request, {
          tenantId: ownerId,
          action: 'llmKey.changed',
          target: targetOf(stored),
          ...differences(before, presentLlmKey(changed)),
        }),
      );
      return changed;
    });
    tellKeyring(request, key);
    return reply(200, presentLlmKey(key));
  },
});

const remove = ownedRoutes({
  ...shared,
  ...writing,
  method: 'delete',
  path: '/llm/keys/:id',
  name: 'deleteLlmKey',
  summary: 'Remove a key that was revoked, with what opened it',
  params,
  answers: { 204: null },
  problems: ['llmKeyNotRevoked'],
  async handler(request) {
    const { params: given, inOwn, ownerId } = request;
    await inOwn(async (trx) => {
      const removed = await removeLlmKey(trx, { ownerId, id: given.id });
      await audit(
        trx,
        auditOf(request, {
          tenantId: ownerId,
          action: 'llmKey.deleted',
          target: targetOf(removed),
          before: presentLlmKey(removed),
        }),
      );
    });
    return reply(204);
  },
});

export const llmKeyRoutes = [...create, ...list, ...get, ...change, ...remove];

function targetOf({ id }: Pick<LlmKey, 'id'>) {
  return { kind: 'llmKey', id };
}

// The workflow that looks after the account's keys; it looks by itself as well, only later.
function tellKeyring(
  { deps }: { deps: Pick<ApiDeps, 'keyrings'> },
  { accountId }: Pick<LlmKey, 'accountId'>,
): void {
  deps.keyrings.stateChanged([accountId]);
}

function instantOf(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
