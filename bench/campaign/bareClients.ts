import { createTransport } from 'nodemailer';
import { createSender } from '../../activities/messages/createSender';
import type { OneMessage } from '../../activities/messages/accountSenders';
import type { OpenedAccount } from '../../domain/messages/accounts/types';
import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { openAccount } from '../../models/messages/accountCredentials';
import { ProviderAccount } from '../../models/messages/ProviderAccount';
import type { MessageReference } from '../../providers/types';
import { publicUrl } from './ground';

/**
 * By what the bare loop calls: the vendor's library, used as its documentation says, or the product's
 * own client, the one that the product's campaigns use.
 */
export type BareClient = 'library' | 'product';

/** Sends single messages; throws when one is not accepted. */
export interface BareSender {
  send(message: OneMessage, reference: MessageReference): Promise<void>;
  close(): Promise<void>;
}

const timeoutMs = 15_000;

export async function openBareSender(
  { db, sealing }: { db: Knex; sealing: Sealing },
  accountId: string,
  client: BareClient,
): Promise<BareSender> {
  const account = await ProviderAccount.query(db).findById(accountId).throwIfNotFound();
  const opened = openAccount(sealing, account);
  if (client === 'library') {
    return librarySender(opened);
  }
  const options = { db, sealing, timeoutMs, publicUrl, onlyPublic: false };
  const sender = createSender(options, account, opened);
  return {
    async send(message, reference) {
      const { kind } = await sender.send(message, reference);
      if (kind !== 'accepted') {
        throw new Error(`A call was ${kind}`);
      }
    },
    close: () => sender.close(),
  };
}

/** nodemailer with its pool, which has as many connections as the product's. */
function librarySender(opened: OpenedAccount): BareSender {
  if (opened.vendor !== 'smtp') {
    throw new Error(`The bare loop calls ${opened.vendor} by the product's client only`);
  }
  const { settings, credentials } = opened;
  const transport = createTransport({
    host: settings.host,
    port: settings.port,
    ignoreTLS: true,
    auth: { user: credentials.username, pass: credentials.password },
    pool: true,
    maxConnections: 20,
    maxMessages: 1_000,
  });
  return {
    async send(message) {
      if (message.channel !== 'email') {
        throw new Error(`A mail server takes no ${message.channel}`);
      }
      const { from, to, subject, html, text, unsubscribeUrl } = message;
      await transport.sendMail({
        from: { name: from.name ?? '', address: from.email },
        to: { name: to.name ?? '', address: to.email },
        subject,
        html,
        text,
        ...(unsubscribeUrl === null ? {} : { list: { unsubscribe: unsubscribeUrl } }),
      });
    },
    close: () => Promise.resolve(transport.close()),
  };
}
