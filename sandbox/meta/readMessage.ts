import { z } from 'zod';
import type { Reply } from '../sendingEndpoint';
import { refusal } from './errors';
import type { Variable } from './templates';

const mediaKinds = ['image', 'video', 'audio', 'document'] as const;
type MediaKind = (typeof mediaKinds)[number];

/** A request to send a message, understood. */
export interface MessageRequest {
  /** Digits alone. */
  to: string;
  content:
    | { type: 'text'; body: string }
    | { type: 'template'; name: string; language: string; variables: Variable[] }
    | { type: MediaKind; link: string; caption: string | null; filename: string | null };
  callbackData: string | null;
}

const Parameter = z.looseObject({
  type: z.string(),
  parameter_name: z.string().min(1).optional(),
  text: z.string().optional(),
});
const Component = z.looseObject({ type: z.string(), parameters: z.array(Parameter).default([]) });

const link = z.url({ protocol: /^https?$/, error: 'must be a web address' }).max(2_000);
const mediaPart = z.looseObject({ link });

const Message = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('text'),
    text: z.looseObject({ body: z.string().min(1).max(4_096) }),
  }),
  z.object({
    type: z.literal('template'),
    template: z.looseObject({
      name: z.string().min(1).max(512),
      language: z.looseObject({ code: z.string().min(2).max(16) }),
      components: z.array(Component).default([]),
    }),
  }),
  z.object({
    type: z.literal('image'),
    image: mediaPart.extend({ caption: z.string().max(1_024).optional() }),
  }),
  z.object({
    type: z.literal('video'),
    video: mediaPart.extend({ caption: z.string().max(1_024).optional() }),
  }),
  // Sounds have no caption.
  z.object({ type: z.literal('audio'), audio: z.strictObject({ link }) }),
  z.object({
    type: z.literal('document'),
    document: mediaPart.extend({
      caption: z.string().max(1_024).optional(),
      filename: z.string().max(240).optional(),
    }),
  }),
]);

const Envelope = z.looseObject({
  messaging_product: z.literal('whatsapp'),
  recipient_type: z.literal('individual').default('individual'),
  to: z.string().regex(/^\+?[1-9]\d{6,14}$/, 'is no number'),
  type: z.enum(['text', 'template', ...mediaKinds]).default('text'),
  biz_opaque_callback_data: z.string().max(512).optional(),
});

/** Checks the fields; the first that is wrong is what the answer names. */
export function readMessage(body: Buffer): { message: MessageRequest } | { refused: Reply } {
  const input = parse(body);
  const envelope = Envelope.safeParse(input);
  if (!envelope.success) {
    return { refused: refusalOf(envelope.error) };
  }
  const { to, type, biz_opaque_callback_data: callbackData = null } = envelope.data;
  const parsed = Message.safeParse({ ...envelope.data, type });
  if (!parsed.success) {
    return { refused: refusalOf(parsed.error) };
  }
  const content = contentOf(parsed.data);
  const broken = content.type === 'template' ? brokenVariable(content.variables) : null;
  return broken === null
    ? { message: { to: to.replace(/^\+/, ''), content, callbackData } }
    : { refused: broken };
}

function contentOf(message: z.infer<typeof Message>): MessageRequest['content'] {
  switch (message.type) {
    case 'text':
      return { type: 'text', body: message.text.body };
    case 'template': {
      const { name, language, components } = message.template;
      const body = components.find(({ type }) => type.toLowerCase() === 'body');
      const variables = (body?.parameters ?? []).map(({ parameter_name: variable, text }) => ({
        name: variable ?? null,
        text: text ?? '',
      }));
      return { type: 'template', name, language: language.code, variables };
    }
    case 'image':
      return mediaOf('image', message.image);
    case 'video':
      return mediaOf('video', message.video);
    case 'audio':
      return mediaOf('audio', message.audio);
    case 'document':
      return mediaOf('document', message.document);
  }
}

function mediaOf(
  type: MediaKind,
  part: { link: string; caption?: string | undefined; filename?: string | undefined },
): MessageRequest['content'] {
  return { type, link: part.link, caption: part.caption ?? null, filename: part.filename ?? null };
}

function brokenVariable(variables: readonly Variable[]): Reply | null {
  if (variables.some(({ text }) => text.trim() === '')) {
    return refusal(131008, { details: 'Parameter of type text is missing text value' });
  }
  return variables.some(({ text }) => /[\n\r\t]| {5}/.test(text))
    ? refusal(132018, {
        message: 'The parameters of the template have an issue',
        details: 'Param text cannot have new-line/tab characters or more than 4 consecutive spaces',
      })
    : null;
}

function refusalOf(error: z.ZodError): Reply {
  const [issue] = error.issues;
  const path = issue?.path.join('.') ?? '';
  return path === 'type'
    ? refusal(131051)
    : refusal(100, { details: `${path === '' ? 'The body' : path}: ${issue?.message}` });
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}
