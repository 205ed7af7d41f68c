import { z } from 'zod';
import { invalid, invalidField } from '../../domain/errors';
import {
  ChangeParts,
  ChangeProviderAccount,
  ProviderAccount as AccountShape,
  ReplaceProviderAccount,
  WriteProviderAccount,
  type ReplacedAccount,
} from '../../domain/messages/accounts/schema';
import {
  accountSorts,
  createProviderAccount,
  lockProviderAccount,
  providerAccountsWhere,
  removeProviderAccount,
  replaceProviderAccount,
  requireProviderAccount,
} from '../../models/messages/accounts';
import type { ProviderAccount } from '../../models/messages/ProviderAccount';
import { json } from '../bodies';
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
  async handler({ body, deps, inTenant, tenantId, userId, idempotentId }) {
    await requireCallable(body, deps.config);
    const account = await inTenant((trx) =>
      createProviderAccount(trx, deps.sealing, { tenantId, id: idempotentId() }, body, {
        createdBy: userId,
        limitPerMinute: body.channel === 'email' ? deps.config.BULK_EMAIL_RATE_LIMIT_PER_MIN : 0,
      }),
    );
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
  async handler({ params: { id }, body, deps, ifMatch, inTenant, tenantId }) {
    await requireCallable(body, deps.config);
    const account = await inTenant(async (trx) => {
      const stored = await lockProviderAccount(trx, { tenantId, id });
      requireUnchanged(ifMatch, presentAccount(stored));
      requireSameKind(stored, body);
      return replaceProviderAccount(trx, deps.sealing, stored, body);
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
  async handler({ params: { id }, body, deps, ifMatch, inTenant, tenantId }) {
    const key = { tenantId, id };
    const before = await inTenant((trx) => requireProviderAccount(trx, key));
    // A host is looked up in the network: not while the row is locked.
    await requireCallable(changedAccount(before, body), deps.config);
    const account = await inTenant(async (trx) => {
      const stored = await lockProviderAccount(trx, key);
      requireUnchanged(ifMatch, presentAccount(stored));
      return replaceProviderAccount(trx, deps.sealing, stored, changedAccount(stored, body));
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
  async handler({ params: { id }, inTenant, tenantId }) {
    await inTenant((trx) => removeProviderAccount(trx, { tenantId, id }));
    return reply(204);
  },
});

export const providerAccountRoutes = [create, list, get, replace, change, remove];

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
