import { z } from 'zod';
import { email, phone } from '../../customers/schema';
import { noControls } from '../../oneLine';
import { MessageDetail } from '../schema';
import { maxTemplateVariables } from '../whatsAppContent';

const line = z
  .string()
  .trim()
  .max(200)
  .regex(noControls, 'Must be one line.')
  .nullish()
  .transform((text) => (text === '' || text === undefined ? null : text));

const toCustomer = z.strictObject({ customerId: z.uuid() });
const toMailbox = z.strictObject({ email, name: line });
const toPhone = z.strictObject({ phone });

const data = z
  .record(z.string(), z.unknown())
  .default({})
  .meta({ description: 'What templates show as `data.anything`' });

const sender = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .nullish()
  .transform((text) => text ?? null)
  .meta({ description: 'One of the account’s senders; its first one when left out' });

// How long texts may be and what their Liquid may say is for the compiler to judge, which knows the
// line and the column.
const mail = z.strictObject({
  channel: z.literal('email'),
  to: z.union([toCustomer, toMailbox]),
  from: z
    .strictObject({ email, name: line })
    .optional()
    .meta({ description: 'The account’s first sender when left out' }),
  replyTo: email.nullish().transform((address) => address ?? null),
  content: z.strictObject({
    subject: z.string(),
    html: z.string(),
    text: z.string().optional().meta({ description: 'Made of the HTML when left out' }),
  }),
  data,
});

const sms = z.strictObject({
  channel: z.literal('sms'),
  to: z.union([toCustomer, toPhone]),
  from: sender,
  content: z.strictObject({ body: z.string() }),
  data,
});

const whatsApp = z.strictObject({
  channel: z.literal('whatsapp'),
  to: z.union([toCustomer, toPhone]),
  from: sender,
  content: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('text'), body: z.string() }),
    z.strictObject({
      kind: z.literal('template'),
      id: z.string().trim().min(1).max(512),
      language: z.string().trim().min(2).max(20),
      variables: z
        .record(z.string().min(1).max(100), z.string())
        .refine((variables) => Object.keys(variables).length <= maxTemplateVariables, {
          params: { code: 'tooMany' },
          message: `Has more than ${maxTemplateVariables} variables.`,
        })
        .default({}),
    }),
    z.strictObject({
      kind: z.literal('media'),
      url: z.url({ protocol: /^https$/ }).max(2_000),
      caption: z
        .string()
        .nullish()
        .transform((text) => text ?? null),
    }),
  ]),
  data,
});

export const SendMessage = z
  .discriminatedUnion('channel', [mail, sms, whatsApp])
  .meta({ id: 'SendMessage' });

export type MessageToSend = z.output<typeof SendMessage>;

const { shape } = MessageDetail;

export const AcceptedMessage = z
  .object({ id: z.uuid(), state: shape.state })
  .meta({ id: 'AcceptedMessage' });

export const TransactionalMessage = z
  .object({
    id: z.uuid(),
    channel: z.enum(['email', 'sms', 'whatsapp']),
    customerId: z
      .uuid()
      .nullable()
      .meta({ description: 'null when its address was no customer’s' }),
    state: shape.state,
    reason: shape.reason,
    createdAt: shape.calledAt.unwrap(),
    waitsUntil: shape.calledAt.meta({ description: 'Until when it waits, if it has to' }),
    waitReason: z.string().nullable(),
    calledAt: shape.calledAt,
    deliveredAt: shape.deliveredAt,
    bouncedAt: shape.bouncedAt,
    complainedAt: shape.complainedAt,
    providerMessageId: shape.providerMessageId,
    attempts: shape.attempts,
    events: shape.events,
  })
  .meta({ id: 'TransactionalMessage' });
