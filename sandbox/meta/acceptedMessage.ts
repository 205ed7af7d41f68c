import { z } from 'zod';
import { readTextLinks } from '../html';
import type { RequestHeader } from '../journal';
import type { MessageContent, OpenRequest, StageSummary, Vendor, VendorEvent } from '../vendor';
import { titleOf } from './errors';
import { failed, fateOf, type Fate, type Status } from './numbers';
import { readMessage, type MessageRequest } from './readMessage';

export const VENDOR = 'meta';

const SUBJECT_LENGTH = 80;
// Outside of the 24 hours.
const REENGAGEMENT = 131047;

/** What was known when a message was taken and its own body does not say. */
const Circumstances = z.object({
  phoneNumberId: z.string(),
  /** What the customer reads. */
  text: z.string(),
  webhookUrl: z.string().nullable(),
  /** Whether the customer had written within 24 hours. */
  windowOpen: z.boolean(),
});
export type Circumstances = z.infer<typeof Circumstances>;

/** A message that was taken, as it lies in the journal. */
export interface AcceptedMessage extends Circumstances {
  id: string;
  /** Milliseconds since 1970. */
  receivedAt: number;
  request: MessageRequest;
}

const Journaled = Circumstances.extend({ request: z.unknown() });

/** What the journal keeps of a request: its body as it came, and what else its fate hangs on. */
export function journalBody(circumstances: Circumstances, body: Buffer): Buffer {
  const request: unknown = JSON.parse(body.toString('utf8'));
  return Buffer.from(JSON.stringify({ ...circumstances, request }));
}

/** Meta, as far as the journal is concerned: understands again what it once accepted. */
export const metaVendor: Vendor = {
  name: VENDOR,
  open: (header, body) => openMessage(readAccepted(header, body)),
};

function readAccepted(header: RequestHeader, body: Buffer): AcceptedMessage {
  const { request, ...circumstances } = Journaled.parse(JSON.parse(body.toString('utf8')));
  const read = readMessage(Buffer.from(JSON.stringify(request)));
  if ('refused' in read) {
    throw new Error(`the journal's request ${header.messageId} is not one that was accepted`);
  }
  const { messageId: id, receivedAt } = header;
  return { ...circumstances, id, receivedAt, request: read.message };
}

export function openMessage(message: AcceptedMessage): OpenRequest {
  const content = contentOf(message);
  const steps = stepsOf(message);
  return {
    deliveries: [
      {
        to: content.recipient.email,
        subject: content.subject,
        run: content.customArgs.carillon_r ?? null,
      },
    ],
    customArgs: content.customArgs,
    envelope: () => content,
    message: () => content,
    stages: () => (message.webhookUrl === null ? [] : steps.map(({ status }) => stageOf(status))),
    stage: (name) => ({
      events: steps.filter(({ status }) => status === name).map((step) => statusOf(message, step)),
      visits: [],
    }),
  };
}

type Step = Extract<Fate, { kind: 'taken' }>['steps'][number];

function stepsOf({ request, windowOpen }: AcceptedMessage): readonly Step[] {
  const isFree = request.content.type !== 'template';
  const fate = isFree && !windowOpen ? failed(REENGAGEMENT) : fateOf(request.to);
  return fate.kind === 'taken' ? fate.steps : [];
}

function stageOf(status: Status): StageSummary {
  return { name: status, delayMs: 0, size: 1 };
}

/** A status: whom it is told to, and as what. */
function statusOf(message: AcceptedMessage, { status, errorCode }: Step): VendorEvent {
  const { id, receivedAt, phoneNumberId, webhookUrl, request } = message;
  return {
    event: status,
    phoneNumberId,
    url: webhookUrl,
    status: {
      id,
      status,
      timestamp: String(Math.floor(receivedAt / 1_000)),
      recipient_id: request.to,
      ...(request.callbackData === null ? {} : { biz_opaque_callback_data: request.callbackData }),
      ...(errorCode === null ? {} : { errors: [errorOf(errorCode)] }),
    },
  };
}

function errorOf(code: number): Record<string, unknown> {
  const title = titleOf(code);
  return { code, title, message: title, error_data: { details: title } };
}

function contentOf(message: AcceptedMessage): MessageContent {
  const { request, text, phoneNumberId } = message;
  const { content } = request;
  const recipient = { email: `+${request.to}`, name: null };
  const line = text.replace(/\s+/g, ' ').trim();
  const isMedia = content.type !== 'text' && content.type !== 'template';
  return {
    recipient,
    to: [recipient],
    cc: [],
    from: { email: phoneNumberId, name: null },
    replyTo: null,
    subject: `WhatsApp: ${line === '' ? 'media' : line.slice(0, SUBJECT_LENGTH)}`,
    customArgs: argumentsOf(request.callbackData),
    outcome: stepsOf(message).at(-1)?.status ?? 'accepted',
    html: null,
    text: [text, isMedia ? content.link : ''].filter((part) => part !== '').join('\n\n'),
    headers: { Channel: 'WhatsApp', Type: content.type },
    categories: ['WhatsApp'],
    attachments: [],
    links: readTextLinks(text),
    raw: { to: request.to, ...content, callbackData: request.callbackData },
  };
}

/** The sender's reference, named as that of an email's arguments. */
function argumentsOf(callbackData: string | null): Record<string, string> {
  const [run, dispatchN, attempt, messageN] = callbackData?.split('.') ?? [];
  return run === undefined || messageN === undefined
    ? {}
    : { carillon_r: run, carillon_d: `${dispatchN}.${attempt}`, carillon_m: messageN };
}
