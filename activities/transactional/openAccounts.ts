import type { ClaimedMessage } from '../../models/transactional/claims';
import type { AccountSender, AccountSenders } from '../messages/accountSenders';

// As many as a lane is likely to serve at a time.
const mostKept = 500;

/**
 * Opens the accounts of claimed messages and keeps them for as long as the claim names the version that
 * was opened: reading the account again for each message would cost it a trip to Postgres.
 */
export function createAccountOpener(senders: AccountSenders) {
  const kept = new Map<string, { version: number | null; sender: AccountSender }>();
  return async function openAccount({
    tenantId,
    accountId,
    accountVersion,
    isAccountActive,
  }: ClaimedMessage): Promise<AccountSender | null> {
    if (accountId === null || !isAccountActive) {
      return null;
    }
    const key = `${tenantId} ${accountId}`;
    const known = kept.get(key);
    if (known !== undefined && known.version === accountVersion) {
      return known.sender;
    }
    const sender = await senders.of(tenantId, accountId);
    kept.delete(key);
    kept.set(key, { version: accountVersion, sender });
    const oldest = kept.keys().next().value;
    if (kept.size > mostKept && oldest !== undefined) {
      kept.delete(oldest);
    }
    return sender;
  };
}
