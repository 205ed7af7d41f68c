import { notFound } from '../../domain/errors';
import { StoredAccount } from '../../domain/messages/accounts/schema';
import type { AccountChannel, OpenedAccount, Sender } from '../../domain/messages/accounts/types';
import type { Knex } from '../../lib/db';
import type { SealedPlace, Sealing } from '../../lib/sealing';
import { sealedPlace } from '../identity/sealedPlaces';
import { ProviderAccount } from './ProviderAccount';

interface AccountBasics {
  channel: AccountChannel;
  name: string;
  senders: Sender[];
  active: boolean;
}

/** Everything of a new account but its rate. */
export type NewAccountValues = AccountBasics & OpenedAccount;

/** The same of an account that is there: credentials that are left out stay. */
export type AccountValues = AccountBasics & KeepingCredentials<OpenedAccount>;

type KeepingCredentials<O> = O extends OpenedAccount
  ? Omit<O, 'credentials'> & { credentials?: O['credentials'] | undefined }
  : never;

/** What a new test has to say again. */
export const untested = { testedAt: null, testOutcome: null, testReason: null };

export function columnsOf({ name, active, channel, vendor, settings, senders }: AccountValues) {
  return { name, active, channel, vendor, settings, senders };
}

/**
 * Opens an account: its vendor, settings and credentials as they are in one moment. What it answers
 * is for the provider alone and belongs in no log, error or history.
 *
 * @throws SealingError when no key opens it
 */
export async function openCredentials(
  trx: Knex.Transaction,
  sealing: Sealing,
  { id, tenantId }: Pick<ProviderAccount, 'id' | 'tenantId'>,
): Promise<OpenedAccount> {
  const account = await ProviderAccount.query(trx).findById(id).whereNotNull('vendor');
  if (account === undefined || account.tenantId !== tenantId) {
    throw notFound('providerAccount');
  }
  return openAccount(sealing, account);
}

/** The same of a row that is at hand. */
export function openAccount(sealing: Sealing, account: ProviderAccount): OpenedAccount {
  const { vendor, settings } = account;
  const credentials = readJson(sealing.open(account.credentials, placeOf(account)));
  const parsed = StoredAccount.safeParse({ vendor, settings, credentials });
  if (!parsed.success) {
    const paths = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
    throw new Error(`Provider account ${account.id} is not as its vendor's are: ${paths}`);
  }
  return parsed.data;
}

/** Credentials as they are stored: they open in this account's row alone. */
export function sealCredentials(
  sealing: Sealing,
  account: Pick<ProviderAccount, 'id' | 'tenantId'>,
  credentials: OpenedAccount['credentials'],
): string {
  return sealing.seal(JSON.stringify(credentials), placeOf(account));
}

function placeOf({ id, tenantId }: Pick<ProviderAccount, 'id' | 'tenantId'>): SealedPlace {
  return sealedPlace('providerAccounts', { key: [id], tenantId });
}

// JSON.parse quotes what it cannot read.
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
