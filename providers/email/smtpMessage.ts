import { normalizeEmail } from '../../domain/customers/email';
import type { OneEmail } from './oneByOne';
import { MailBytes } from './mailBytes';
import { headerAddress, headerText } from './smtpHeaders';
import { referenceToken } from './smtpReference';

/** A message as it travels: envelope and bytes. */
export interface SmtpMessage {
  sender: string;
  recipient: string;
  messageId: string;
  source: Buffer;
}

/** What cannot be put into a mail at all, found before anything is sent. */
export type Unsendable = { of: 'recipient' | 'message'; reason: string };

/**
 * The mail as RFC 5322 text of plain and HTML parts. Nothing that a customer or a tenant wrote can
 * add a header, a part or a command: addresses are checked, texts encoded.
 * `boundary` must be a word that nobody can guess.
 */
export function writeMessage(
  mail: OneEmail,
  { date, boundary }: { date: Date; boundary: string },
): SmtpMessage | Unsendable {
  const recipient = normalizeEmail(mail.to.email);
  if (recipient === null) {
    return { of: 'recipient', reason: 'is not an address that mail can be sent to' };
  }
  const sender = normalizeEmail(mail.from.email);
  const replyTo = mail.replyTo === null ? null : normalizeEmail(mail.replyTo);
  if (sender === null || (mail.replyTo !== null && replyTo === null)) {
    return { of: 'message', reason: 'the sender or the address for answers is not an address' };
  }
  if (mail.unsubscribeUrl !== null && !isHeaderUrl(mail.unsubscribeUrl)) {
    return { of: 'message', reason: 'the address to unsubscribe at cannot stand in a header' };
  }
  const token = referenceToken(mail.reference);
  const messageId = `<${token}@${sender.slice(sender.lastIndexOf('@') + 1)}>`;
  const head = [
    `From: ${headerAddress({ email: sender, name: mail.from.name })}`,
    `To: ${headerAddress({ email: recipient, name: mail.to.name })}`,
    ...(replyTo === null ? [] : [`Reply-To: ${replyTo}`]),
    `Subject: ${headerText(mail.subject)}`,
    `Date: ${rfc5322Date(date)}`,
    `Message-ID: ${messageId}`,
    // RFC 8058: one POST ends it, and both headers have to be there.
    ...(mail.unsubscribeUrl === null
      ? []
      : [
          `List-Unsubscribe: <${mail.unsubscribeUrl}>`,
          'List-Unsubscribe-Post: List-Unsubscribe=One-Click',
        ]),
    `X-Carillon-Ref: ${token}`,
    'MIME-Version: 1.0',
    `Content-Type: multipart/alternative;\r\n boundary="${boundary}"`,
    '',
    '',
  ].join('\r\n');
  bytes.begin();
  bytes.append(head);
  // An empty part would be shown as an empty line.
  if (mail.text !== '') {
    appendPart(boundary, 'text/plain', mail.text);
  }
  appendPart(boundary, 'text/html', mail.html);
  bytes.append(`--${boundary}--\r\n`);
  return { sender, recipient, messageId, source: bytes.copy() };
}

// Messages are written one after the other, each in one go.
const bytes = new MailBytes();

function appendPart(boundary: string, type: string, content: string): void {
  const head = [
    `--${boundary}`,
    `Content-Type: ${type}; charset=utf-8`,
    'Content-Transfer-Encoding: quoted-printable',
    '',
    '',
  ].join('\r\n');
  bytes.append(head);
  bytes.appendQuotedPrintable(content);
  // The line break before a boundary belongs to the boundary.
  bytes.append('\r\n');
}

// RFC 5322 2.1.1: a line has at most 998 characters, and an address cannot be folded.
function isHeaderUrl(url: string): boolean {
  return url.length <= 900 && /^https?:\/\/[\x21-\x7e]+$/.test(url) && !/[<>]/.test(url);
}

function rfc5322Date(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}
