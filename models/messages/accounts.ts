import { isDeepStrictEqual } from 'node:util';
import type { QueryBuilder } from 'objection';
import { conflict, notFound } from '../../domain/errors';
import type {
  AccountChannel,
  ConnectionOutcome,
  Vendor,
} from '../../domain/messages/accounts/types';
import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import type { SortKey } from '../pages';
import {
  columnsOf,
  sealCredentials,
  untested,
  type AccountValues,
  type NewAccountValues,
} from './accountCredentials';
import { ProviderAccount } from './ProviderAccount';
import { ensureAccount } from './accountLimits';
import { UsableAccount } from './UsableAccount';

export const accountSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  name: { by: 'lower(name)', type: 'text' },
} as const satisfies Record<string, SortKey>;

interface Key {
  tenantId: string;
  id: string;
}

/** An account that belongs to a tenant. */
export type TenantAccount = ProviderAccount & { tenantId: string };

/**
 * Writes a new account and gives it the rate of new ones (0 for no limit). A row with this id is
 * taken for the same one written before, so that a repeated request creates one account.
 */
export async function createProviderAccount(
  trx: Knex.Transaction,
  sealing: Sealing,
  key: Key,
  values: NewAccountValues,
  extra: { createdBy: string; limitPerMinute: number },
): Promise<TenantAccount> {
  await ensureAccount(trx, key, extra.limitPerMinute);
  await ProviderAccount.query(trx)
    .where({ id: key.id, tenant_id: key.tenantId })
    .whereNull('vendor')
    .patch({
      createdBy: extra.createdBy,
      ...columnsOf(values),
      credentials: sealCredentials(sealing, key, values.credentials),
    });
  return requireProviderAccount(trx, key);
}

/** The account of this tenant, or notFound. */
export async function requireProviderAccount(
  trx: Knex.Transaction,
  key: Key,
): Promise<TenantAccount> {
  return orNotFound(await ofTenant(trx, key.tenantId).findById(key.id));
}

/** The same, kept from changes until the transaction ends. Calls by the account go on meanwhile. */
export async function lockProviderAccount(trx: Knex.Transaction, key: Key): Promise<TenantAccount> {
  return orNotFound(await ofTenant(trx, key.tenantId).findById(key.id).forUpdate());
}

/**
 * Writes the values over a locked account. What the last test said is forgotten when it would not
 * be true of the new values.
 *
 * @throws conflict accountIsDefault when a default would become inactive
 */
export async function replaceProviderAccount(
  trx: Knex.Transaction,
  sealing: Sealing,
  stored: TenantAccount,
  values: AccountValues,
): Promise<TenantAccount> {
  if (stored.isDefault && !values.active) {
    throw conflict(
      'accountIsDefault',
      'Messages leave by this account: make another one the default, or none, first.',
    );
  }
  const { credentials } = values;
  const isOther = credentials !== undefined || !isDeepStrictEqual(stored.settings, values.settings);
  await ProviderAccount.query(trx)
    .findById(stored.id)
    .patch({
      ...columnsOf(values),
      ...(credentials === undefined
        ? {}
        : { credentials: sealCredentials(sealing, stored, credentials) }),
      ...(isOther ? { version: stored.version + 1, ...untested } : {}),
      updatedAt: trx.fn.now(),
    });
  return requireProviderAccount(trx, stored);
}

/**
 * Makes the account the one by which the tenant's messages of its channel leave; the one before it
 * is no default any more.
 *
 * @throws conflict accountInactive
 */
export async function makeDefault(trx: Knex.Transaction, key: Key): Promise<TenantAccount> {
  const { channel } = await requireProviderAccount(trx, key);
  // All of the channel, so that of two wishes at once the later one finds what the earlier one did.
  const accounts = await ofTenant(trx, key.tenantId).where({ channel }).orderBy('id').forUpdate();
  const account = orNotFound(accounts.find(({ id }) => id === key.id));
  if (!account.active) {
    throw conflict('accountInactive', 'Only an active account can be the default.');
  }
  if (!account.isDefault) {
    await ceaseToBeDefault(
      trx,
      accounts.filter(({ isDefault }) => isDefault),
    );
    await ProviderAccount.query(trx)
      .findById(key.id)
      .patch({ isDefault: true, updatedAt: trx.fn.now() });
  }
  return requireProviderAccount(trx, key);
}

/** Makes it no default any more: messages leave by the platform's account then. */
export async function clearDefault(trx: Knex.Transaction, key: Key): Promise<TenantAccount> {
  const account = await lockProviderAccount(trx, key);
  await ceaseToBeDefault(trx, account.isDefault ? [account] : []);
  return requireProviderAccount(trx, key);
}

/**
 * Removes an account with its rate and answers what it was.
 *
 * @throws conflict accountInUse while an open run may have calls by it, whose outcomes nobody could
 *   look up any more
 */
export async function removeProviderAccount(
  trx: Knex.Transaction,
  key: Key,
): Promise<TenantAccount> {
  const account = await lockProviderAccount(trx, key);
  const found = await trx.raw(
    `select exists (
       select 1 from campaign_runs r
        where r.tenant_id = :tenantId and r.channel = :channel
          and r.state in ('planning', 'waiting', 'sending')
          and (r.account_id = :id
            or (r.account_id is null and (:isDefault or r.created_at < :defaultUntil)))) as "isUsed"`,
    {
      id: account.id,
      tenantId: key.tenantId,
      channel: account.channel,
      isDefault: account.isDefault,
      defaultUntil: account.defaultUntil,
    },
  );
  if (found.rows[0].isUsed) {
    throw conflict(
      'accountInUse',
      'An open run uses this account: wait for its end, or cancel it, first.',
    );
  }
  await ProviderAccount.query(trx).deleteById(account.id);
  return account;
}

/** The tenant's accounts that fit the filters; the platform's are not among them. */
export function providerAccountsWhere(
  trx: Knex.Transaction,
  tenantId: string,
  filters: {
    channel?: AccountChannel | undefined;
    vendor?: Vendor | undefined;
    active?: boolean | undefined;
  },
): QueryBuilder<ProviderAccount, ProviderAccount[]> {
  const query = ofTenant(trx, tenantId);
  if (filters.channel !== undefined) {
    query.where('channel', filters.channel);
  }
  if (filters.vendor !== undefined) {
    query.where('vendor', filters.vendor);
  }
  if (filters.active !== undefined) {
    query.where('active', filters.active);
  }
  return query;
}

/**
 * Writes down what a test found, of the version that was tested.
 *
 * @throws conflict accountChanged when settings or credentials are others by now
 */
export async function storeConnectionTest(
  trx: Knex.Transaction,
  key: Key,
  version: number,
  outcome: ConnectionOutcome,
): Promise<TenantAccount> {
  const count = await ofTenant(trx, key.tenantId)
    .where({ id: key.id, version })
    .patch({
      testedAt: trx.fn.now(),
      testOutcome: outcome.kind,
      testReason: outcome.kind === 'accepted' ? null : outcome.reason,
    });
  const account = await requireProviderAccount(trx, key);
  if (count === 0) {
    throw conflict('accountChanged', 'It was changed while it was tested: test it again.');
  }
  return account;
}

/** An account as calls use it, without what opens it. */
export type ResolvedAccount = Pick<
  ProviderAccount,
  'id' | 'tenantId' | 'channel' | 'vendor' | 'name' | 'settings' | 'senders'
>;

/**
 * The account by which a tenant's messages of a channel leave now: the tenant's default, else the
 * platform's; null when there is neither.
 */
export async function resolveAccount(
  trx: Knex.Transaction,
  tenantId: string,
  channel: AccountChannel,
): Promise<ResolvedAccount | null> {
  const account = await UsableAccount.query(trx)
    .where({ channel, is_default: true })
    .where((mine) => {
      void mine.where('tenant_id', tenantId).orWhereNull('tenant_id');
    })
    .orderByRaw('tenant_id nulls last')
    .select('id', 'tenant_id', 'channel', 'vendor', 'name', 'settings', 'senders')
    .first();
  return account ?? null;
}

async function ceaseToBeDefault(
  trx: Knex.Transaction,
  accounts: readonly ProviderAccount[],
): Promise<void> {
  await ProviderAccount.query(trx)
    .whereIn(
      'id',
      accounts.map(({ id }) => id),
    )
    .patch({ isDefault: false, defaultUntil: trx.fn.now(), updatedAt: trx.fn.now() });
}

function ofTenant(
  trx: Knex.Transaction,
  tenantId: string,
): QueryBuilder<ProviderAccount, ProviderAccount[]> {
  return ProviderAccount.query(trx).where('tenant_id', tenantId).whereNotNull('vendor');
}

function orNotFound(account: ProviderAccount | undefined): TenantAccount {
  if (account === undefined || !isOfTenant(account)) {
    throw notFound('providerAccount');
  }
  return account;
}

function isOfTenant(account: ProviderAccount): account is TenantAccount {
  return account.tenantId !== null;
}
