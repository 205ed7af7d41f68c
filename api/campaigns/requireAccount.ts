import { AppError, conflict } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import type { ContentValues } from '../../models/campaigns/contentValues';
import { resolveAccount, type ResolvedAccount } from '../../models/messages/accounts';

type Sent = Pick<ContentValues, 'channel'> & { fromEmail?: string; sender?: string | null };

/**
 * Refuses to send what no account of the tenant would carry: there is none for the channel, or the
 * sender is not among those that it lists. An account that lists none is asked nothing.
 *
 * @throws conflict noProviderAccount, senderMissing, senderNotOfAccount
 */
export async function requireAccount(
  trx: Knex.Transaction,
  tenantId: string,
  content: Sent,
): Promise<void> {
  const { channel } = content;
  const account = await resolveAccount(trx, tenantId, channel);
  if (account === null) {
    // The platform's account for mail is written by the first worker that starts, maybe after us.
    if (channel !== 'email') {
      throw conflict(
        'noProviderAccount',
        `There is no account by which ${channel} could leave: add one and make it the default.`,
      );
    }
    return;
  }
  const field = channel === 'email' ? 'fromEmail' : 'sender';
  const named = content[field] ?? null;
  if (named === null) {
    if (!hasOwnSender(account)) {
      throw refused('senderMissing', field, 'The account has no sender to choose: add one to it.');
    }
  } else if (account.senders.length > 0 && !isAmong(account, named)) {
    throw refused('senderNotOfAccount', field, 'Is not one of the senders of the account.');
  }
}

function isAmong({ senders }: ResolvedAccount, named: string): boolean {
  return senders.some(({ address }) => address.toLowerCase() === named.toLowerCase());
}

/** Whether a message that names no sender has one. */
function hasOwnSender({ vendor, settings, senders }: ResolvedAccount): boolean {
  switch (vendor) {
    case 'twilio':
      return (
        senders.length > 0 ||
        ('messagingServiceSid' in settings && settings.messagingServiceSid !== undefined)
      );
    case 'meta':
    case 'sendgrid':
    case 'smtp':
      return true;
  }
}

function refused(code: string, field: string, message: string): AppError {
  const path = `content.${field}`;
  return new AppError('conflict', code, `${path}: ${message}`, {
    problems: [{ path, code, message }],
  });
}
