import { z } from 'zod';
import { invalid, invalidField } from '../../domain/errors';
import { differences } from '../../domain/identity/auditValues';
import {
  ChangeParts,
  ChangeProviderAccount,
  ProviderAccount as AccountShape,
  ReplaceProviderAccount,
  WriteProviderAccount,
  type ReplacedAccount,
} from '../../domain/messages/accounts/schema';
import type { Knex } from '../../lib/db';
import {
  accountSorts,
  createProviderAccount,
  lockProviderAccount,
  providerAccountsWhere,
  removeProviderAccount,
  replaceProviderAccount,
  requireProviderAccount,
  type TenantAccount,
} from '../../models/messages/accounts';
import { audit } from '../../models/identity/audit';
import type { ProviderAccount } from '../../models/messages/ProviderAccount';
import { auditOf, type AuditedRequest } from '../audit';
import { json } from '../bodies';
import type { ApiDeps } from '../deps';
import { requireUnchanged } from '../etags';
import { fieldsOf, listPage } from '../lists';
import { fieldProblems } from '../problems';
import { basePath, reply, route } from '../route';
import { presentAccount } from './present';
import { ListProviderAccounts } from './requests';
import { requireCallable } from './settings';

const tags = ['providerAccounts'];
const params = { id: 'providerAccount' } as const;

const create = route({
  method: 'post',
  path: '/provider-accounts',
  name: 'createProviderAccount',
  summary: 'Add an account at a vendor, with what opens it',
  description:
    'Credentials are stored sealed and never shown again. Campaigns still leave by the platform’s account: a tenant’s own can be kept and tested.',
  tags,
  permission: 'providerAccount:write',
  body: json(WriteProviderAccount),
  idempotent: true,
  answers: { 201: AccountShape },
  async handler(request) {
    const { body, deps, inTenant, tenantId, userId, idempotentId } = request;
    await requireCallable(body, deps.config);
    const account = await inTenant(async (trx) => {
      const key = { tenantId, id: idempotentId() };
      const created = await createProviderAccount(trx, deps.sealing, key, body, {
        createdBy: userId,
        limitPerMinute: body.channel === 'email' ? deps.config.BULK_EMAIL_RATE_LIMIT_PER_MIN : 0,
      });
      await audit(trx, createdEntry(request, created));
      return created;
    });
    return reply(201, presentAccount(account), {
      headers: { Location: `${basePath}/provider-accounts/${account.id}` },
    });
  },
});

const list = route({
  method: 'get',
  path: '/provider-accounts',
  name: 'listProviderAccounts',
  summary: 'List your accounts at vendors',
  tags,
  permission: 'providerAccount:read',
  query: ListProviderAccounts,
  answers: { 200: z.array(AccountShape) },
  async handler({ query, inTenant, tenantId }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(providerAccountsWhere(trx, tenantId, query), {
        list: query,
        sorts: accountSorts,
        present: presentAccount,
        idType: 'text',
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = route({
  method: 'get',
  path: '/provider-accounts/:id',
  name: 'getProviderAccount',
  summary: 'Read one account, without what opens it',
  tags,
  permission: 'providerAccount:read',
  params,
  query: z.strictObject({ fields: fieldsOf(AccountShape).optional() }),
  answers: { 200: AccountShape },
  async handler({ params: { id }, inTenant, tenantId }) {
    const account = await inTenant((trx) => requireProviderAccount(trx, { tenantId, id }));
    return reply(200, presentAccount(account));
  },
});

const replace = route({
  method: 'put',
  path: '/provider-accounts/:id',
  name: 'replaceProviderAccount',
  summary: 'Write a whole account: what is left out is cleared, but for credentials, which stay',
  description: 'Vendor and channel stay what they were.',
  tags,
  permission: 'providerAccount:write',
  params,
  body: json(ReplaceProviderAccount),
  answers: { 200: AccountShape },
  problems: ['accountIsDefault'],
  async handler(request) {
    const { params: given, body, deps, ifMatch, inTenant, tenantId } = request;
    await requireCallable(body, deps.config);
    const account = await inTenant(async (trx) => {
      const stored = await lockProviderAccount(trx, { tenantId, id: given.id });
      requireUnchanged(ifMatch, presentAccount(stored));
      requireSameKind(stored, body);
      return replaceAudited(trx, request, stored, body);
    });
    return reply(200, presentAccount(account));
  },
});

const change = route({
  method: 'patch',
  path: '/provider-accounts/:id',
  name: 'changeProviderAccount',
  summary: 'Change an account: what is left out stays',
  description:
    'Settings are changed one by one, and null clears one; senders and credentials are replaced as a whole.',
  tags,
  permission: 'providerAccount:write',
  params,
  // Which of its forms is right depends on the vendor that is stored.
  body: { ...json(ChangeParts), schema: ChangeProviderAccount },
  answers: { 200: AccountShape },
  problems: ['accountIsDefault'],
  async handler(request) {
    const { params: given, body, deps, ifMatch, inTenant, tenantId } = request;
    const key = { tenantId, id: given.id };
    const before = await inTenant((trx) => requireProviderAccount(trx, key));
    // A host is looked up in the network: not while the row is locked.
    await requireCallable(changedAccount(before, body), deps.config);
    const account = await inTenant(async (trx) => {
      const stored = await lockProviderAccount(trx, key);
      requireUnchanged(ifMatch, presentAccount(stored));
      return replaceAudited(trx, request, stored, changedAccount(stored, body));
    });
    return reply(200, presentAccount(account));
  },
});

const remove = route({
  method: 'delete',
  path: '/provider-accounts/:id',
  name: 'deleteProviderAccount',
  summary: 'Remove an account and what opens it',
  tags,
  permission: 'providerAccount:write',
  params,
  answers: { 204: null },
  problems: ['accountInUse'],
  async handler(request) {
    const { params: given, inTenant, tenantId } = request;
    await inTenant(async (trx) => {
      const removed = await removeProviderAccount(trx, { tenantId, id: given.id });
      await audit(
        trx,
        auditOf(request, {
          action: 'providerAccount.deleted',
          target: targetOf(removed),
          before: presentAccount(removed),
        }),
      );
    });
    return reply(204);
  },
});

export const providerAccountRoutes = [create, list, get, replace, change, remove];

type SealingRequest = AuditedRequest & { readonly deps: Pick<ApiDeps, 'sealing'> };

function createdEntry(request: AuditedRequest, account: ProviderAccount) {
  const after = presentAccount(account);
  const target = targetOf(account);
  return auditOf(request, { id: account.id, action: 'providerAccount.created', target, after });
}

// Credentials are an entry of their own: what they were and are is not to be read anywhere.
async function replaceAudited(
  trx: Knex.Transaction,
  request: SealingRequest,
  stored: TenantAccount,
  values: ReplacedAccount,
): Promise<TenantAccount> {
  const before = presentAccount(stored);
  const replaced = await replaceProviderAccount(trx, request.deps.sealing, stored, values);
  const target = targetOf(stored);
  const changed = differences(before, presentAccount(replaced));
  const changes = auditOf(request, { action: 'providerAccount.changed', target, ...changed });
  const opened = auditOf(request, { action: 'providerAccount.credentialsChanged', target });
  await audit(trx, changes, ...(values.credentials === undefined ? [] : [opened]));
  return replaced;
}

function targetOf({ id }: Pick<ProviderAccount, 'id'>) {
  return { kind: 'providerAccount', id };
}

/** The whole account that a change makes of the stored one, checked as its vendor asks. */
function changedAccount(
  stored: ProviderAccount,
  { settings, ...given }: z.output<typeof ChangeParts>,
): ReplacedAccount {
  const { vendor, channel, name, active, senders } = stored;
  const merged = Object.entries({ ...stored.settings, ...settings });
  const parsed = ReplaceProviderAccount.safeParse({
    vendor,
    channel,
    name,
    active,
    senders,
    ...given,
    settings: Object.fromEntries(merged.filter(([, value]) => value !== null)),
  });
  if (!parsed.success) {
    throw invalid(fieldProblems(parsed.error, 'unknownField'));
  }
  return parsed.data;
}

function requireSameKind(stored: ProviderAccount, { vendor, channel }: ReplacedAccount): void {
  if (vendor !== stored.vendor) {
    throw invalidField('vendor', 'fixed', 'An account stays at its vendor: add another one.');
  }
  if (channel !== stored.channel) {
    throw invalidField('channel', 'fixed', 'An account stays on its channel: add another one.');
  }
}
