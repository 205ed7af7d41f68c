import type { Knex } from 'knex';
import { conflict } from '../../domain/errors';
import { resolveAccount } from '../messages/accounts';
import { getRun } from './runs';

/**
 * The account a run's calls are made for: the one its plan was written for. A plan of before runs
 * had accounts, or whose account was removed, leaves by the one that is the default now.
 */
export async function accountOf(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<string> {
  const { accountId, channel } = await getRun(trx, tenantId, runId);
  const id = accountId ?? (await resolveAccount(trx, tenantId, channel))?.id;
  if (id === undefined) {
    throw conflict('noProviderAccount', `There is no account by which ${channel} could leave.`);
  }
  return id;
}
