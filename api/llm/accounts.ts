import { z } from 'zod';
import { conflict } from '../../domain/errors';
import { differences } from '../../domain/identity/auditValues';
import {
  ChangeLlmAccount,
  LlmAccount as AccountShape,
  WriteLlmAccount,
} from '../../domain/llm/accounts/schema';
import { audit } from '../../models/identity/audit';
import {
  changeLlmAccount,
  createLlmAccount,
  llmAccountSorts,
  llmAccountsOf,
  lockLlmAccount,
  removeLlmAccount,
  requireLlmAccount,
  requireRoomForAccount,
} from '../../models/llm/accounts';
import type { LlmAccount } from '../../models/llm/LlmAccount';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { fieldsOf, listPage } from '../lists';
import { basePath, reply } from '../route';
import { ownEndpoints, requirePublicEndpoint } from './endpoints';
import { ownedRoutes } from './owned';
import { presentLlmAccount } from './present';
import { ListLlmAccounts } from './requests';

const shared = { tags: ['llm'] } as const;
const reading = { permission: 'llmKey:read', platformPermission: 'platform:read' } as const;
const writing = { permission: 'llmKey:write', platformPermission: 'platform:write' } as const;
const params = { id: 'llmAccount' } as const;

const create = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/accounts',
  name: 'createLlmAccount',
  summary: 'Add an account at a vendor of language models',
  description:
    'An account has one balance and one or more keys, which are added to it. Its management key is stored sealed and never shown again.',
  body: json(WriteLlmAccount),
  idempotent: true,
  answers: { 201: AccountShape },
  problems: ['llmAccountNameTaken', 'llmAccountsTooMany'],
  async handler(request) {
    const { body, deps, inOwn, ownerId, userId, idempotentId } = request;
    const baseUrl = body.baseUrl ?? ownEndpoints[body.vendor];
    await requirePublicEndpoint(baseUrl, deps.config);
    const account = await inOwn(async (trx) => {
      const values = { ...body, baseUrl, createdBy: userId };
      const key = { ownerId, id: idempotentId() };
      await requireRoomForAccount(trx, key);
      const created = await createLlmAccount(trx, deps.sealing, key, values);
      await audit(
        trx,
        auditOf(request, {
          id: created.id,
          tenantId: ownerId,
          action: 'llmAccount.created',
          target: targetOf(created),
          after: presentLlmAccount(created),
        }),
      );
      return created;
    });
    const folder = ownerId === null ? '/admin/llm/accounts' : '/llm/accounts';
    return reply(201, presentLlmAccount(account), {
      headers: { Location: `${basePath}${folder}/${account.id}` },
    });
  },
});

const list = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/accounts',
  name: 'listLlmAccounts',
  summary: 'List accounts at vendors of language models',
  query: ListLlmAccounts,
  answers: { 200: z.array(AccountShape) },
  async handler({ query, inOwn, ownerId }) {
    const { data, meta } = await inOwn((trx) => {
      const accounts = llmAccountsOf(trx, ownerId);
      return listPage(
        query.vendor === undefined ? accounts : accounts.where({ vendor: query.vendor }),
        {
          list: query,
          sorts: llmAccountSorts,
          hasColumns: true,
          present: presentLlmAccount,
        },
      );
    });
    return reply(200, data, { meta });
  },
});

const get = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/accounts/:id',
  name: 'getLlmAccount',
  summary: 'Read one account, without what opens it',
  params,
  query: z.strictObject({ fields: fieldsOf(AccountShape).optional() }),
  answers: { 200: AccountShape },
  async handler({ params: { id }, inOwn, ownerId }) {
    const account = await inOwn((trx) => requireLlmAccount(trx, { ownerId, id }));
    return reply(200, presentLlmAccount(account));
  },
});

const change = ownedRoutes({
  ...shared,
  ...writing,
  method: 'patch',
  path: '/llm/accounts/:id',
  name: 'changeLlmAccount',
  summary: 'Change an account: what is left out stays',
  description:
    'Its address can be changed as long as it has no key, and no management key but a new one.',
  params,
  body: json(ChangeLlmAccount),
  answers: { 200: AccountShape },
  problems: ['llmAccountNameTaken', 'llmAccountHasKeys'],
  async handler(request) {
    const { params: given, body, deps, ifMatch, inOwn, ownerId } = request;
    if (body.baseUrl !== undefined) {
      await requirePublicEndpoint(body.baseUrl, deps.config);
    }
    const account = await inOwn(async (trx) => {
      const stored = await lockLlmAccount(trx, { ownerId, id: given.id });
      const before = presentLlmAccount(stored);
      requireUnchanged(ifMatch, before);
      requireNothingShown(stored, body);
      const changed = await changeLlmAccount(trx, deps.sealing, stored, body);
      await audit(
        trx,
        auditOf(request, {
          tenantId: ownerId,
          action: 'llmAccount.changed',
          target: targetOf(stored),
          ...differences(before, presentLlmAccount(changed)),
        }),
      );
      return changed;
    });
    deps.keyrings.stateChanged([account.id]);
    return reply(200, presentLlmAccount(account));
  },
});

const remove = ownedRoutes({
  ...shared,
  ...writing,
  method: 'delete',
  path: '/llm/accounts/:id',
  name: 'deleteLlmAccount',
  summary: 'Remove an account whose keys are all revoked',
  params,
  answers: { 204: null },
  problems: ['llmAccountHasKeys'],
  async handler(request) {
    const { params: given, deps, inOwn, ownerId } = request;
    await inOwn(async (trx) => {
      const removed = await removeLlmAccount(trx, { ownerId, id: given.id });
      await audit(
        trx,
        auditOf(request, {
          tenantId: ownerId,
          action: 'llmAccount.deleted',
          target: targetOf(removed),
          before: presentLlmAccount(removed),
        }),
      );
    });
    // Its keyring ends.
    deps.keyrings.stateChanged([given.id]);
    return reply(204);
  },
});

export const llmAccountRoutes = [...create, ...list, ...get, ...change, ...remove];

// What is sealed for one address is never sent to another one that somebody names later.
function requireNothingShown(
  stored: LlmAccount,
  { baseUrl, managementKey }: z.output<typeof ChangeLlmAccount>,
): void {
  if (baseUrl === undefined || baseUrl === stored.baseUrl) {
    return;
  }
  if (stored.keyCount > 0 || (stored.hasManagementKey && managementKey === undefined)) {
    throw conflict(
      'llmAccountHasKeys',
      'Its keys would be sent to another address: add another account for that one.',
    );
  }
}

function targetOf({ id }: Pick<LlmAccount, 'id'>) {
  return { kind: 'llmAccount', id };
}
