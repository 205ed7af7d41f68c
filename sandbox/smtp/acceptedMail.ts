import { readHtml, readTextLinks } from '../html';
import type { Envelope, MessageContent, OpenRequest, Vendor } from '../vendor';
import { ReceivedMail } from './readMail';

export const SMTP = 'smtp';

/** The SMTP server, as far as the journal is concerned: understands again what it once took. */
export function createSmtpVendor(): Vendor {
  return {
    name: SMTP,
    open: (_, body) => openReceivedMail(ReceivedMail.parse(JSON.parse(body.toString('utf8')))),
  };
}

export function openReceivedMail(mail: ReceivedMail): OpenRequest {
  const customArgs = customArgsOf(mail.headers);
  const envelope = (ordinal: number): Envelope => ({
    recipient: recipientAt(mail, ordinal),
    from: mail.from,
    subject: mail.subject,
    customArgs,
    outcome: 'delivered',
  });
  return {
    deliveries: mail.recipients.map((to) => ({
      to,
      subject: mail.subject,
      run: customArgs.carillon_r ?? null,
    })),
    customArgs,
    envelope,
    message: (ordinal) => ({ ...envelope(ordinal), ...contentOf(mail) }),
    // A mail server posts no events.
    stages: () => [],
    stage: () => ({ events: [], visits: [] }),
  };
}

function contentOf(mail: ReceivedMail): Omit<MessageContent, keyof Envelope> {
  const { to, cc, replyTo, html, text, headers, attachments, sender, recipients, source } = mail;
  return {
    to,
    cc,
    replyTo,
    html,
    text,
    headers,
    attachments,
    categories: [],
    links: html === null ? readTextLinks(text ?? '') : readHtml(html).links,
    raw: { sender, recipients, source: source.split('\r\n') },
  };
}

function recipientAt({ recipients, to, cc }: ReceivedMail, ordinal: number) {
  const email = recipients[ordinal] ?? '';
  const named = [...to, ...cc].find((each) => each.email.toLowerCase() === email.toLowerCase());
  return { email, name: named?.name ?? null };
}

const REFERENCE =
  /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})\.(\w+)\.(\w+)\.(\w+)$/;

/** The sender's reference, in the words that other vendors get it in. */
function customArgsOf(headers: Record<string, string>): Record<string, string> {
  const match = REFERENCE.exec(headers['X-Carillon-Ref'] ?? '');
  if (match === null) {
    return {};
  }
  const [m, d, attempt] = match.slice(6).map((digits) => Number.parseInt(digits, 36));
  return {
    carillon_r: match.slice(1, 6).join('-'),
    carillon_d: `${d}.${attempt}`,
    carillon_m: String(m),
  };
}
