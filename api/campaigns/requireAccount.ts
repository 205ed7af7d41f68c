import { AppError, conflict } from '../../domain/errors';
import type { Vendor } from '../../domain/messages/accounts/types';
import type { WhatsAppContent } from '../../domain/messages/whatsAppContent';
import type { Knex } from '../../lib/db';
import type { ContentValues } from '../../models/campaigns/contentValues';
import { requireFeature } from '../../models/identity/subscriptions';
import { resolveAccount, type ResolvedAccount } from '../../models/messages/accounts';

type Sent = Pick<ContentValues, 'channel'> & {
  fromEmail?: string;
  sender?: string | null;
  message?: WhatsAppContent;
};

/** What `requireAccount` may answer. */
export const unsendable = [
  'featureNotInPlan',
  'noProviderAccount',
  'senderMissing',
  'senderNotOfAccount',
  'templateNotOfVendor',
] as const;

/**
 * Refuses to send what no account of the tenant would carry: there is none for the channel, the
 * sender is not among those that it lists, or a template is named as another vendor names its own.
 * An account that lists no senders is not asked for them.
 *
 * @throws conflict or planLimit, one of `unsendable`
 */
export async function requireAccount(
  trx: Knex.Transaction,
  tenantId: string,
  content: Sent,
): Promise<void> {
  const { channel } = content;
  if (channel !== 'email') {
    await requireFeature(trx, tenantId, channel);
  }
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
  const { message } = content;
  if (message?.kind === 'template' && templateIds[account.vendor]?.test(message.id) === false) {
    throw refused(
      'templateNotOfVendor',
      'message.id',
      `Is not how ${account.vendor} names a template.`,
    );
  }
}

// The vendor would refuse it for everybody, in the middle of the run.
const templateIds: Partial<Record<Vendor, RegExp>> = {
  twilio: /^HX[0-9a-f]{32}$/i,
  meta: /^[a-z0-9_]+$/,
};

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

function refused(code: (typeof unsendable)[number], field: string, message: string): AppError {
  const path = `content.${field}`;
  return new AppError('conflict', code, `${path}: ${message}`, {
    problems: [{ path, code, message }],
  });
}
