import { createHash } from 'node:crypto';
import { type AppError, conflict, invalid, invalidField } from '../../domain/errors';
import { ContentError, RenderFailure } from '../../domain/messages/content';
import type { ShownCustomer } from '../../domain/messages/preview';
import type { TransactionalContent } from '../../domain/messages/transactional/content';
import {
  renderTransactionalMail,
  renderTransactionalSms,
  renderTransactionalWhatsApp,
  stranger,
  type ShownValues,
} from '../../domain/messages/transactional/render';
import type { MessageToSend } from '../../domain/messages/transactional/schema';
import type { Knex } from '../../lib/db';
import { Tenant } from '../../models/identity/Tenant';
import { requireFeature } from '../../models/identity/subscriptions';
import { resolveAccount, type ResolvedAccount } from '../../models/messages/accounts';
import type { NewMessage } from '../../models/transactional/accept';
import { findRecipient } from '../../models/transactional/recipients';

/**
 * Makes of a request what will leave: whom it is for, by which account, and every text of it rendered,
 * so that whoever asks hears at once what is wrong.
 *
 * @throws conflict noProviderAccount; invalid with the field
 */
export async function prepareMessage(
  trx: Knex.Transaction,
  message: MessageToSend,
  from: { tenantId: string; userId: string; id: string; idempotencyKey: string | undefined },
): Promise<NewMessage> {
  const { tenantId, id } = from;
  // Sent together: none needs another's answer.
  const [account, customer, { name: tenantName }] = await Promise.all([
    requireAccount(trx, tenantId, message.channel),
    findRecipient(trx, tenantId, message.to),
    Tenant.query(trx).findById(tenantId).throwIfNotFound(),
  ]);
  if (customer === null && 'customerId' in message.to) {
    throw invalidField('to.customerId', 'unknownCustomer', 'There is no such customer.');
  }
  return {
    tenantId,
    id,
    // A key may name a person or an order: its digest is as good.
    slot:
      from.idempotencyKey === undefined ? id : sha256(from.idempotencyKey).toString('base64url'),
    digest: sha256(JSON.stringify(message)),
    accountId: account.id,
    customerId: customer?.id ?? null,
    address: addressOf(message, customer),
    content: contentOf(message, account, {
      customer: customer ?? strangerOf(message),
      tenantName,
      data: message.data,
    }),
    createdBy: from.userId,
  };
}

async function requireAccount(
  trx: Knex.Transaction,
  tenantId: string,
  channel: MessageToSend['channel'],
): Promise<ResolvedAccount> {
  if (channel !== 'email') {
    await requireFeature(trx, tenantId, channel);
  }
  const account = await resolveAccount(trx, tenantId, channel);
  if (account === null) {
    throw conflict(
      'noProviderAccount',
      `There is no account by which ${channel} could leave: add one and make it the default.`,
    );
  }
  return account;
}

/** The address that was named; null for a customer's own, which must be there by now. */
function addressOf({ to, channel }: MessageToSend, customer: ShownCustomer | null): string | null {
  if (!('customerId' in to)) {
    return 'email' in to ? to.email : to.phone;
  }
  if ((channel === 'email' ? customer?.email : customer?.phone) == null) {
    const what = channel === 'email' ? 'email address' : 'phone number';
    throw invalidField('to.customerId', 'noAddress', `The customer has no ${what}.`);
  }
  return null;
}

function strangerOf({ to }: MessageToSend): ShownCustomer {
  return stranger('phone' in to ? { phone: to.phone } : { email: 'email' in to ? to.email : '' });
}

function contentOf(
  message: MessageToSend,
  account: ResolvedAccount,
  values: ShownValues,
): TransactionalContent {
  const options = { at: new Date() };
  switch (message.channel) {
    case 'email':
      return {
        channel: 'email',
        from: mailSender(message.from, account),
        toName: 'name' in message.to ? message.to.name : null,
        replyTo: message.replyTo,
        ...rendered(() => renderTransactionalMail(message.content, values, options)),
      };
    case 'sms':
      return {
        channel: 'sms',
        sender: phoneSender(message.from, account),
        body: rendered(() => renderTransactionalSms(message.content.body, values, options)),
      };
    case 'whatsapp':
      return {
        channel: 'whatsapp',
        sender: phoneSender(message.from, account),
        content: rendered(() => renderTransactionalWhatsApp(message.content, values, options)),
      };
  }
}

function mailSender(
  given: { email: string; name: string | null } | undefined,
  { senders }: ResolvedAccount,
): { email: string; name: string | null } {
  if (given !== undefined) {
    requireListed('from.email', given.email, senders);
    return given;
  }
  const first = senders[0];
  if (first === undefined) {
    throw invalidField('from', 'required', 'The account lists no sender that could stand in.');
  }
  return { email: first.address, name: first.name };
}

function phoneSender(given: string | null, account: ResolvedAccount): string | null {
  if (given !== null) {
    requireListed('from', given, account.senders);
    return given;
  }
  const hasOwn =
    account.senders.length > 0 ||
    account.vendor === 'meta' ||
    ('messagingServiceSid' in account.settings &&
      account.settings.messagingServiceSid !== undefined);
  if (!hasOwn) {
    throw invalidField('from', 'required', 'The account lists no sender that could stand in.');
  }
  return null;
}

function requireListed(path: string, given: string, senders: ResolvedAccount['senders']): void {
  const isListed = senders.some(({ address }) => address.toLowerCase() === given.toLowerCase());
  if (senders.length > 0 && !isListed) {
    throw invalidField(path, 'senderNotOfAccount', 'Is not one of the senders of the account.');
  }
}

function rendered<T>(render: () => T): T {
  try {
    return render();
  } catch (error) {
    if (error instanceof ContentError) {
      throw wrongContent(error);
    }
    if (error instanceof RenderFailure) {
      throw invalidField(
        'content',
        'renderFailed',
        `The message cannot be rendered with these values: ${error.message}.`,
      );
    }
    throw error;
  }
}

function wrongContent(error: ContentError): AppError {
  return invalid(
    error.problems.map(({ field, line, column, message }) => ({
      path: `content.${field}`,
      code: 'wrongContent',
      message: `Line ${line}, column ${column}: ${message}.`,
    })),
  );
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
