import { readHtml, readTextLinks } from '../html';
import type { RequestHeader } from '../journal';
import type { EngagementRates } from '../options';
import type { Envelope, Link, MessageContent, OpenRequest, Vendor } from '../vendor';
import { behaviourOf, outcomeOf } from './behaviour';
import { checkMail } from './checkMail';
import { stageContent, stagesOf, type EventCopy } from './events';
import { copiesOf, customArgsOf, type Copy, type Mail, type Personalization } from './mail';
import { substitute } from './substitute';

export interface Audience {
  seed: string;
  engagement: EngagementRates | null;
}

/** SendGrid, as far as the journal is concerned: understands again what it once accepted. */
export function createSendGridVendor(audience: Audience): Vendor {
  return {
    name: 'sendgrid',
    open(header, body) {
      const payload: unknown = JSON.parse(body.toString('utf8'));
      const checked = checkMail(payload, header.receivedAt);
      if (!checked.ok) {
        throw new Error(`the journal's request ${header.messageId} is not one that was accepted`);
      }
      return openMail(header, checked.mail, payload, audience);
    },
  };
}

export function openMail(
  header: RequestHeader,
  mail: Mail,
  payload: unknown,
  audience: Audience,
): OpenRequest {
  const copies = copiesOf(mail);
  const first = mail.personalizations[0];
  const copyAt = (ordinal: number) => {
    const copy = copies[ordinal];
    if (!copy) {
      throw new Error(`request ${header.messageId} has no message ${ordinal}`);
    }
    return copy;
  };
  let eventCopies: EventCopy[] | null = null;
  const eventful = () => {
    eventCopies ??= copies.map((copy, ordinal) => eventCopy(mail, copy, ordinal, audience));
    return eventCopies;
  };
  return {
    deliveries: copies.map(({ recipient, personalization }) => ({
      to: recipient.email,
      subject: subjectOf(mail, personalization),
      run: personalization.customArgs.carillon_r ?? mail.customArgs.carillon_r ?? null,
    })),
    customArgs: first ? customArgsOf(mail, first) : {},
    envelope: (ordinal) => envelopeOf(mail, copyAt(ordinal), audience),
    message: (ordinal) => messageContent(mail, copyAt(ordinal), payload, audience),
    stages: () => stagesOf(eventful()),
    stage: (name) => stageContent(header, mail, eventful(), name),
  };
}

function envelopeOf(mail: Mail, copy: Copy, audience: Audience): Envelope {
  const { recipient, personalization } = copy;
  return {
    recipient,
    from: personalization.from ?? mail.from,
    subject: subjectOf(mail, personalization),
    customArgs: customArgsOf(mail, personalization),
    outcome: outcomeOf(behaviourOf(recipient.email, audience)),
  };
}

function messageContent(
  mail: Mail,
  copy: Copy,
  payload: unknown,
  audience: Audience,
): MessageContent {
  const { personalization, position } = copy;
  const html = partOf(mail, personalization, 'text/html');
  const text = partOf(mail, personalization, 'text/plain');
  return {
    ...envelopeOf(mail, copy, audience),
    to: personalization.to,
    cc: personalization.cc,
    replyTo: mail.replyTo,
    html,
    text,
    headers: headersOf(mail, personalization),
    categories: mail.categories,
    attachments: mail.attachments.map(({ filename, type, content }) => ({
      filename,
      type,
      bytes: Buffer.byteLength(content, 'base64'),
    })),
    links: html === null ? readTextLinks(text ?? '') : readHtml(html).links,
    raw: requestFor(payload, position),
  };
}

function eventCopy(mail: Mail, copy: Copy, ordinal: number, audience: Audience): EventCopy {
  const { recipient, personalization } = copy;
  return {
    ordinal,
    address: recipient.email,
    customArgs: customArgsOf(mail, personalization),
    steps: behaviourOf(recipient.email, audience),
    content: () => actionable(mail, personalization),
  };
}

/** What a recipient can act on: the tracking pixel, links other than those that unsubscribe, RFC 8058. */
function actionable(mail: Mail, personalization: Personalization) {
  const { links, images } = readHtml(partOf(mail, personalization, 'text/html') ?? '');
  const unsubscribeUrl = oneClickUrl(headersOf(mail, personalization));
  return {
    links: links.filter(({ url }) => isContentLink(url, unsubscribeUrl)),
    pixels: images
      .filter(
        ({ src, width, height }) => src.includes('/t/o/') || (width === '1' && height === '1'),
      )
      .map(({ src }) => src),
    unsubscribeUrl,
  };
}

function isContentLink(url: Link['url'], unsubscribeUrl: string | null): boolean {
  return /^https?:/i.test(url) && url !== unsubscribeUrl && !/unsub|\/t\/u\//i.test(url);
}

function oneClickUrl(headers: Record<string, string>): string | null {
  const named = new Map(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const),
  );
  if (!/^List-Unsubscribe=One-Click$/i.test(named.get('list-unsubscribe-post')?.trim() ?? '')) {
    return null;
  }
  return named.get('list-unsubscribe')?.match(/<(https?:[^>]+)>/i)?.[1] ?? null;
}

function headersOf(mail: Mail, personalization: Personalization): Record<string, string> {
  return { ...mail.headers, ...personalization.headers };
}

function subjectOf(mail: Mail, personalization: Personalization): string {
  return substitute(personalization.subject ?? mail.subject ?? '', personalization.substitutions);
}

function partOf(mail: Mail, personalization: Personalization, type: string): string | null {
  const part = mail.content.find((content) => content.type === type);
  return part ? substitute(part.value, personalization.substitutions) : null;
}

// A thousand envelopes are no help to someone who looks at one message.
function requestFor(payload: unknown, position: number): unknown {
  if (typeof payload !== 'object' || payload === null || !('personalizations' in payload)) {
    return payload;
  }
  const { personalizations } = payload;
  return {
    ...payload,
    personalizations: Array.isArray(personalizations) ? [personalizations[position]] : [],
  };
}
