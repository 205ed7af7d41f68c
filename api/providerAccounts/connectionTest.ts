import { conflict } from '../../domain/errors';
import { ProviderAccount as AccountShape } from '../../domain/messages/accounts/schema';
import type { OpenedAccount } from '../../domain/messages/accounts/types';
import { SealingError } from '../../lib/sealing';
import { audit } from '../../models/identity/audit';
import { openAccount } from '../../models/messages/accountCredentials';
import { requireProviderAccount, storeConnectionTest } from '../../models/messages/accounts';
import type { ProviderAccount } from '../../models/messages/ProviderAccount';
import { auditOf } from '../audit';
import type { ApiDeps } from '../deps';
import { reply, route } from '../route';
import { presentAccount } from './present';
import { requireCallable } from './settings';

const testConnection = route({
  method: 'post',
  path: '/provider-accounts/:id/test',
  name: 'testProviderAccount',
  summary: 'Ask the vendor whether the account may send; nothing is sent',
  description:
    'What the vendor says is in `lastTest`: `accepted`, `refused` (these credentials may not send) or `unreachable` (nothing is known of them).',
  tags: ['providerAccounts'],
  permission: 'providerAccount:write',
  params: { id: 'providerAccount' },
  idempotent: true,
  answers: { 200: AccountShape },
  problems: ['accountChanged', 'credentialsUnreadable'],
  async handler(request) {
    const { params: given, deps, inTenant, tenantId } = request;
    const key = { tenantId, id: given.id };
    const account = await inTenant((trx) => requireProviderAccount(trx, key));
    await requireCallable(account, deps.config);
    // Outside of any transaction: a vendor may take its time.
    const outcome = await deps.connectionTests.test(opened(deps, account));
    const tested = await inTenant(async (trx) => {
      await audit(
        trx,
        auditOf(request, {
          action: 'providerAccount.tested',
          target: { kind: 'providerAccount', id: account.id },
          after: { outcome: outcome.kind },
        }),
      );
      return storeConnectionTest(trx, key, account.version, outcome);
    });
    return reply(200, presentAccount(tested));
  },
});

export const connectionTestRoutes = [testConnection];

function opened(
  { sealing, logger }: Pick<ApiDeps, 'sealing' | 'logger'>,
  account: ProviderAccount,
): OpenedAccount {
  try {
    return openAccount(sealing, account);
  } catch (error) {
    if (!(error instanceof SealingError)) {
      throw error;
    }
    logger.error({ accountId: account.id, err: error }, 'credentials do not open');
    throw conflict(
      'credentialsUnreadable',
      'The stored credentials cannot be opened any more: write them again.',
    );
  }
}
