import { isIP } from 'node:net';
import type { OpenedAccount, VendorSettings } from '../../domain/messages/accounts/types';
import { publicAddresses } from '../../lib/publicHosts';
import type { ProviderAccount } from '../../models/messages/ProviderAccount';
import { createEmailProvider } from '../../providers/email';
import { createSendGridActivity } from '../../providers/email/sendgridActivity';
import { createSmtp } from '../../providers/email/smtp';
import type { OneByOneEmailProvider, OneEmail } from '../../providers/email/oneByOne';
import { createSmsProvider } from '../../providers/sms';
import type { MessageOutcome, MessageReference } from '../../providers/types';
import { createWhatsAppProvider } from '../../providers/whatsapp';
import { secretsOf } from '../../providers/withoutSecrets';
import { discreetSender } from './discreetSender';
import { createLimiter } from './limiter';
import type { OneMessage, OpenSender, SenderOptions } from './accountSenders';
import { sendSingle } from './sendSingle';

type Account = Pick<ProviderAccount, 'id' | 'channel' | 'senders'>;

/** The vendor's client behind an opened account, as lanes use it. */
export function createSender(
  options: SenderOptions,
  account: Account,
  opened: OpenedAccount,
): OpenSender {
  return discreetSender(senderAt(options, account, opened), secretsOf(opened));
}

function senderAt(options: SenderOptions, account: Account, opened: OpenedAccount): OpenSender {
  switch (opened.vendor) {
    case 'sendgrid':
      return sendGridSender(options, account, opened);
    case 'smtp':
      return smtpSender(options, account, opened);
    case 'twilio':
      return account.channel === 'sms'
        ? smsSender(options, account, opened)
        : whatsAppSender(options, account, opened);
    case 'meta':
      return metaSender(options, account, opened);
  }
}

type Opened<V extends OpenedAccount['vendor']> = Extract<OpenedAccount, { vendor: V }>;

const sendGridOfEurope = 'https://api.eu.sendgrid.com';

function sendGridSender(
  { timeoutMs }: SenderOptions,
  account: Account,
  { settings, credentials }: Opened<'sendgrid'>,
): OpenSender {
  const baseUrl = settings.baseUrl ?? (settings.region === 'eu' ? sendGridOfEurope : undefined);
  const batch = createEmailProvider({
    vendor: 'sendgrid',
    accountId: account.id,
    apiKey: credentials.apiKey,
    timeoutMs,
    ...(baseUrl === undefined ? {} : { baseUrl }),
  });
  return {
    batch: settings.messagesPerCall === 1 ? null : batch,
    ...turnsOf(httpBlocks),
    send: (message, reference) =>
      message.channel === 'email'
        ? sendSingle(batch, message, reference)
        : Promise.resolve(wrongChannel(message)),
    ...(settings.activityLookUp === true
      ? { lookUpBatch: activityOf({ timeoutMs }, { settings, credentials }) }
      : {}),
    close: () => Promise.resolve(),
  };
}

function activityOf(
  { timeoutMs }: Pick<SenderOptions, 'timeoutMs'>,
  { settings, credentials }: Pick<Opened<'sendgrid'>, 'settings' | 'credentials'>,
): NonNullable<OpenSender['lookUpBatch']> {
  const { region, baseUrl } = settings;
  const activity = createSendGridActivity({ ...credentials, region, baseUrl, timeoutMs });
  return (reference) => activity.lookUp(reference);
}

// Servers take a handful of connections from one place; many replace one after a hundred messages.
const smtpConnections = 20;
const messagesAConnection = 1_000;
// All lanes share the connections: a block whose calls are made keeps them busy while another one passes
// the gate, which costs hardly more for many than for a few. Where the database is slower than that,
// connections are idle and more blocks get a turn; not many more, because a crash leaves all of them
// in doubt.
const smtpBlocks = { calls: 128, usual: 2, most: 4 };

// Some hundreds of calls at a time hide a vendor's slowest answers; thousands only fill the memory.
const httpBlocks = { calls: 64, usual: 6, most: 6 };

// While blocks of some dispatches are sent, others are claimed, loaded and ended.
function turnsOf({ calls, usual, most }: { calls: number; usual: number; most: number }) {
  return { mostInBlock: calls, inTurn: createLimiter(usual, most), mostInHand: usual + most };
}

function smtpSender(
  { timeoutMs, onlyPublic }: SenderOptions,
  account: Account,
  { settings, credentials }: Opened<'smtp'>,
): OpenSender {
  // The name is looked up at the first call.
  let server: OneByOneEmailProvider | null = null;
  const turns = turnsOf(smtpBlocks);
  return {
    batch: null,
    ...turns,
    send(message, reference, leaveByMs) {
      if (message.channel !== 'email') {
        return Promise.resolve(wrongChannel(message));
      }
      const mail = mailOf(message, reference);
      return server === null ? connectAndSend(mail, leaveByMs) : server.send(mail, leaveByMs);
    },
    close: () => server?.close() ?? Promise.resolve(),
  };

  async function connectAndSend(mail: OneEmail, leaveByMs?: number): Promise<MessageOutcome> {
    const address = await addressOf(settings, onlyPublic);
    if ('reason' in address) {
      const { reason } = address;
      return { kind: 'notSent', status: null, reason, retryAfterMs: unreachableMs };
    }
    server ??= createSmtp({
      accountId: account.id,
      host: address.host,
      port: settings.port,
      security: settings.security,
      // The certificate is the name's, whichever of its addresses is called.
      ...(isIP(settings.host) === 0 ? { tls: { servername: settings.host } } : {}),
      auth: { user: credentials.username, password: credentials.password },
      maxConnections: smtpConnections,
      maxMessages: messagesAConnection,
      timeoutMs,
      connectionTimeoutMs: timeoutMs,
      greetingTimeoutMs: timeoutMs,
      socketTimeoutMs: timeoutMs,
      onIdle: () => turns.inTurn.letOneMore(),
    });
    return server.send(mail, leaveByMs);
  }
}

// Spelled out: of a spread Node 20 makes each object a kind of its own, which everybody who reads it
// has to look at as if for the first time.
function mailOf(
  message: Extract<OneMessage, { channel: 'email' }>,
  reference: MessageReference,
): OneEmail {
  return {
    from: message.from,
    replyTo: message.replyTo,
    to: message.to,
    subject: message.subject,
    html: message.html,
    text: message.text,
    unsubscribeUrl: message.unsubscribeUrl,
    reference,
  };
}

const unreachableMs = 30_000;

async function addressOf(
  { host }: VendorSettings['smtp'],
  onlyPublic: boolean,
): Promise<{ host: string } | { reason: string }> {
  if (!onlyPublic) {
    return { host };
  }
  const found = await publicAddresses(host);
  return 'problem' in found
    ? { reason: `the mail server's name leads nowhere: ${found.problem}` }
    : { host: found.addresses[0] };
}

function smsSender(
  { timeoutMs, publicUrl }: SenderOptions,
  account: Account,
  opened: Opened<'twilio'>,
): OpenSender {
  const provider = createSmsProvider(twilioAccount(timeoutMs, account, opened));
  const callback = twilioCallback(publicUrl, account.id);
  return {
    batch: null,
    ...turnsOf(httpBlocks),
    async send(message, reference) {
      const sender = senderOf(account, opened.settings, message);
      if (message.channel !== 'sms') {
        return wrongChannel(message);
      }
      return sender === null
        ? noSender
        : provider.send({
            to: message.to,
            sender,
            body: message.body,
            reference,
            statusCallbackUrl: callback,
          });
    },
    async lookUp({ message, calledAt, knownIds }) {
      const sender = senderOf(account, opened.settings, message);
      return message.channel !== 'sms' || sender === null || provider.lookUp === undefined
        ? { kind: 'unknown', reason: 'the vendor cannot be asked for it' }
        : provider.lookUp({ to: message.to, sender, body: message.body, calledAt, knownIds });
    },
    close: () => afterLastCall(timeoutMs, () => provider.close()),
  };
}

function whatsAppSender(
  { timeoutMs, publicUrl }: SenderOptions,
  account: Account,
  opened: Opened<'twilio'>,
): OpenSender {
  const provider = createWhatsAppProvider(twilioAccount(timeoutMs, account, opened));
  const callback = twilioCallback(publicUrl, account.id);
  return {
    batch: null,
    ...turnsOf(httpBlocks),
    async send(message, reference) {
      const sender = senderOf(account, opened.settings, message);
      if (message.channel !== 'whatsapp') {
        return wrongChannel(message);
      }
      return sender === null
        ? noSender
        : provider.send({
            to: message.to,
            sender,
            content: message.content,
            reference,
            statusCallbackUrl: callback,
          });
    },
    async lookUp({ message, calledAt, knownIds }) {
      const sender = senderOf(account, opened.settings, message);
      return message.channel !== 'whatsapp' || sender === null || provider.lookUp === undefined
        ? { kind: 'unknown', reason: 'the vendor cannot be asked for it' }
        : provider.lookUp({ to: message.to, sender, content: message.content, calledAt, knownIds });
    },
    close: () => afterLastCall(timeoutMs, () => provider.close()),
  };
}

function twilioAccount(
  timeoutMs: number,
  { id }: Account,
  { settings, credentials }: Opened<'twilio'>,
) {
  const { accountSid, baseUrl } = settings;
  return {
    vendor: 'twilio' as const,
    accountId: id,
    accountSid,
    credentials,
    timeoutMs,
    ...(baseUrl === undefined ? {} : { baseUrl }),
  };
}

function metaSender(
  { timeoutMs }: SenderOptions,
  account: Account,
  { settings, credentials }: Opened<'meta'>,
): OpenSender {
  const { phoneNumberId, apiVersion, baseUrl } = settings;
  const provider = createWhatsAppProvider({
    vendor: 'meta',
    accountId: account.id,
    phoneNumberId,
    accessToken: credentials.accessToken,
    timeoutMs,
    ...(apiVersion === undefined ? {} : { apiVersion }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
  });
  return {
    batch: null,
    ...turnsOf(httpBlocks),
    async send(message, reference) {
      return message.channel !== 'whatsapp'
        ? wrongChannel(message)
        : provider.send({
            to: message.to,
            // The account is its number: there is no other to choose.
            sender: { from: message.sender ?? phoneNumberId },
            content: message.content,
            reference,
            statusCallbackUrl: null,
          });
    },
    close: () => afterLastCall(timeoutMs, () => provider.close()),
  };
}

/** Who a text comes from: the one it names, the vendor's pool of numbers, or the first of ours. */
function senderOf(
  { senders }: Account,
  { messagingServiceSid }: { messagingServiceSid?: string | undefined },
  message: OneMessage,
): { from: string } | { messagingServiceSid: string } | null {
  const named = message.channel === 'email' ? null : message.sender;
  if (named !== null) {
    return { from: named };
  }
  const first = senders[0]?.address;
  if (messagingServiceSid !== undefined) {
    return { messagingServiceSid };
  }
  return first === undefined ? null : { from: first };
}

const noSender: MessageOutcome = {
  kind: 'messageRefused',
  status: 0,
  reason: 'the account has no sender',
};

function wrongChannel({ channel }: OneMessage): MessageOutcome {
  return { kind: 'messageRefused', status: 0, reason: `the account sends no ${channel}` };
}

function twilioCallback(publicUrl: string, accountId: string): string {
  return `${publicUrl}/webhooks/twilio/${encodeURIComponent(accountId)}/status`;
}

/** Ends connections when no call can be using them any more. */
function afterLastCall(timeoutMs: number, end: () => void): Promise<void> {
  setTimeout(end, timeoutMs + 1_000).unref();
  return Promise.resolve();
}
