import { z } from 'zod';
import { readTextLinks } from '../html';
import type { RequestHeader } from '../journal';
import type { MessageContent, OpenRequest, StageSummary, Vendor, VendorEvent } from '../vendor';
import { isWhatsApp, numberOf, readForm, type MessageForm } from './form';
import { fateOf, type Step } from './numbers';
import { countSegments } from './segments';

export const VENDOR = 'twilio';

const API_VERSION = '2010-04-01';
// Whose number a pool sends from; the vendor's test number that always works.
const POOL_NUMBER = '+15005550006';
const SUBJECT_LENGTH = 80;

/** A message that was taken, as it lies in the journal. */
export interface AcceptedMessage {
  sid: string;
  accountSid: string;
  /** Milliseconds since 1970. */
  receivedAt: number;
  form: MessageForm;
}

const Journaled = z.object({ accountSid: z.string(), form: z.string() });

/** What the journal keeps of a request: its account and its fields as they came. */
export function journalBody(accountSid: string, form: string): Buffer {
  return Buffer.from(JSON.stringify({ accountSid, form }));
}

/** Twilio, as far as the journal is concerned: understands again what it once accepted. */
export const twilioVendor: Vendor = {
  name: VENDOR,
  open: (header, body) => openMessage(readAccepted(header, body)),
};

/** The message of a journaled request. */
export function readAccepted(header: RequestHeader, body: Buffer): AcceptedMessage {
  const { accountSid, form } = Journaled.parse(JSON.parse(body.toString('utf8')));
  const read = readForm(new URLSearchParams(form));
  if ('refused' in read) {
    throw new Error(`the journal's request ${header.messageId} is not one that was accepted`);
  }
  return { sid: header.messageId, accountSid, receivedAt: header.receivedAt, form: read.form };
}

export function openMessage(message: AcceptedMessage): OpenRequest {
  const { form } = message;
  const steps = stepsOf(form);
  const content = contentOf(message);
  return {
    deliveries: [
      { to: form.to, subject: content.subject, run: content.customArgs.carillon_r ?? null },
    ],
    customArgs: content.customArgs,
    envelope: () => content,
    message: () => content,
    stages: () => (form.statusCallback === null ? [] : steps.map(stageOf)),
    stage: (name) => ({
      events: steps
        .filter((step) => stageOf(step).name === name)
        .map((step) => callbackOf(message, step)),
      visits: [],
    }),
  };
}

/** The message as the vendor's API shows it now. */
export function resourceOf(message: AcceptedMessage, now: number): Record<string, unknown> {
  const { sid, accountSid, form, receivedAt } = message;
  const reached = stepsOf(form).filter(({ delayMs }) => receivedAt + delayMs <= now);
  return describe(message, reached.at(-1) ?? null, {
    account_sid: accountSid,
    api_version: API_VERSION,
    date_sent: sentAt(message, now),
    sid,
  });
}

/** The message as the answer to its own creation shows it. */
export function createdResource(message: AcceptedMessage): Record<string, unknown> {
  return describe(message, null, {
    account_sid: message.accountSid,
    api_version: API_VERSION,
    date_sent: null,
    sid: message.sid,
  });
}

/** When it left, as a date of RFC 2822; null while it is accepted or queued. */
export function sentAt({ form, receivedAt }: AcceptedMessage, now: number): string | null {
  const sent = stepsOf(form).find(({ status }) => status !== 'queued');
  return sent && receivedAt + sent.delayMs <= now ? rfc2822(receivedAt + sent.delayMs) : null;
}

function describe(
  { form, accountSid, sid, receivedAt }: AcceptedMessage,
  step: Step | null,
  rest: Record<string, unknown>,
): Record<string, unknown> {
  const uri = `/${API_VERSION}/Accounts/${accountSid}/Messages/${sid}`;
  const pooled = form.messagingServiceSid !== null;
  return {
    ...rest,
    body: form.body,
    date_created: rfc2822(receivedAt),
    date_updated: rfc2822(receivedAt + (step?.delayMs ?? 0)),
    direction: 'outbound-api',
    error_code: step?.errorCode ?? null,
    error_message: null,
    from: step === null || !pooled ? form.from : senderOf(form),
    messaging_service_sid: form.messagingServiceSid,
    num_media: String(form.mediaUrls.length),
    num_segments: isWhatsApp(form.to) ? '1' : String(countSegments(form.body)),
    price: null,
    price_unit: 'USD',
    status: step?.status ?? firstStatus(form),
    subresource_uris: { media: `${uri}/Media.json` },
    to: form.to,
    uri: `${uri}.json`,
  };
}

function firstStatus(form: MessageForm): 'accepted' | 'queued' {
  return form.messagingServiceSid === null ? 'queued' : 'accepted';
}

/** A pool tells that it queued; a number has done so before it answers, and tells no more of it. */
function stepsOf(form: MessageForm): Step[] {
  const fate = fateOf(numberOf(form.to));
  const steps = fate.kind === 'taken' ? fate.steps : [];
  return form.messagingServiceSid === null
    ? steps
    : [{ status: 'queued', delayMs: 0, errorCode: null }, ...steps];
}

function stageOf({ status, delayMs }: Step): StageSummary {
  return { name: `${status}@${delayMs}`, delayMs, size: 1 };
}

/** A callback: where it goes, and its fields. */
function callbackOf({ sid, accountSid, form }: AcceptedMessage, step: Step): VendorEvent {
  const { status, errorCode } = step;
  return {
    event: status,
    accountSid,
    url: form.statusCallback,
    fields: {
      AccountSid: accountSid,
      ApiVersion: API_VERSION,
      From: senderOf(form),
      MessageSid: sid,
      MessageStatus: status,
      SmsSid: sid,
      SmsStatus: status,
      To: form.to,
      ...(isWhatsApp(form.to)
        ? { ChannelPrefix: 'whatsapp', ChannelToAddress: numberOf(form.to) }
        : {}),
      ...(form.messagingServiceSid === null
        ? {}
        : { MessagingServiceSid: form.messagingServiceSid }),
      ...(errorCode === null ? {} : { ErrorCode: String(errorCode) }),
    },
  };
}

function senderOf(form: MessageForm): string {
  return form.from ?? (isWhatsApp(form.to) ? `whatsapp:${POOL_NUMBER}` : POOL_NUMBER);
}

function contentOf({ form }: AcceptedMessage): MessageContent {
  const { to, body, contentSid, contentVariables, mediaUrls } = form;
  const recipient = { email: to, name: null };
  const text = contentSid === null ? body : templateText(contentSid, contentVariables);
  const channel = isWhatsApp(to) ? 'WhatsApp' : 'SMS';
  const line = text.replace(/\s+/g, ' ').trim();
  return {
    recipient,
    to: [recipient],
    cc: [],
    from: { email: form.from ?? form.messagingServiceSid ?? '', name: null },
    replyTo: null,
    subject: `${channel}: ${line === '' ? 'media' : line.slice(0, SUBJECT_LENGTH)}`,
    customArgs: argumentsOf(form.statusCallback),
    outcome: stepsOf(form).at(-1)?.status ?? firstStatus(form),
    html: null,
    text: [text, ...mediaUrls].filter((part) => part !== '').join('\n\n'),
    headers: {
      Channel: channel,
      ...(channel === 'SMS' ? { Segments: String(countSegments(body)) } : {}),
    },
    categories: [channel],
    attachments: [],
    links: readTextLinks(text),
    raw: form,
  };
}

function templateText(contentSid: string, variables: Record<string, string>): string {
  const lines = Object.entries(variables).map(([name, value]) => `{{${name}}} ${value}`);
  return [`Template ${contentSid}`, ...lines].join('\n');
}

/** The sender's reference in the callback address, named as that of an email's arguments. */
function argumentsOf(statusCallback: string | null): Record<string, string> {
  const key = statusCallback === null ? null : new URL(statusCallback).searchParams.get('k');
  const [run, dispatchN, attempt, messageN] = key?.split('.') ?? [];
  return run === undefined || messageN === undefined
    ? {}
    : { carillon_r: run, carillon_d: `${dispatchN}.${attempt}`, carillon_m: messageN };
}

function rfc2822(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000');
}
