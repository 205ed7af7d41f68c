import { z } from 'zod';
import { shownMessage } from '../campaigns/contents/schema';
import { accountChannels } from './accounts/types';
import { eventSources } from './events';
import { proofs } from './doubts/types';
import { messageStates } from './states';

const at = z.iso.datetime();

const message = {
  n: z.int().min(1).meta({ description: 'Number of the message within its run' }),
  runId: z.uuid(),
  customerId: z.uuid(),
  customer: z
    .object({
      email: z.string().nullable(),
      phone: z.string().nullable(),
      firstName: z.string().nullable(),
      lastName: z.string().nullable(),
    })
    .nullable()
    .meta({ description: 'null when the customer is gone' }),
  channel: z.enum(accountChannels),
  state: z.enum(messageStates),
  reason: z.string().nullable(),
  dispatch: z.int().min(1).meta({ description: 'The call it belongs to' }),
  wave: z.object({ planVersion: z.int(), n: z.int() }),
  timeZone: z.string().nullable(),
  calledAt: at.nullable(),
  deliveredAt: at.nullable(),
  bouncedAt: at.nullable(),
  complainedAt: at.nullable(),
  firstOpenedAt: at.nullable(),
  firstClickedAt: at.nullable(),
  unsubscribedAt: at.nullable(),
};

export const Message = z.object(message).meta({ id: 'Message' });

export const MessageDetail = z
  .object({
    ...message,
    providerMessageId: z.string().nullable(),
    attempts: z
      .array(
        z.object({
          attempt: z.int(),
          calledAt: at,
          settledAt: at.nullable(),
          outcome: z
            .enum(['accepted', 'refused', 'throttled', 'notSent', 'inDoubt'])
            .nullable()
            .meta({ description: 'null while the call runs' }),
          provenBy: z.enum(proofs).nullable(),
          status: z.int().nullable(),
          reason: z.string().nullable(),
        }),
      )
      .meta({ description: 'The calls of its dispatch, oldest first' }),
    events: z
      .array(
        z.object({
          kind: z.string(),
          source: z.enum(eventSources),
          occurredAt: at,
          receivedAt: at,
          machine: z.boolean().meta({ description: 'A program did it, not a person' }),
          detail: z.record(z.string(), z.unknown()),
        }),
      )
      .meta({ description: 'What was told of it, in the order it happened; at most 500' }),
  })
  .meta({ id: 'MessageDetail' });

const exactlyOne = {
  path: ['customerId'],
  params: { code: 'exactlyOne' },
  message: 'Give either a customerId or `"sample": true`.',
};

export const PreviewMessage = z
  .strictObject({
    customerId: z.uuid().optional(),
    sample: z.literal(true).optional().meta({ description: 'For a made-up customer' }),
  })
  .refine((body) => (body.customerId === undefined) !== (body.sample === undefined), exactlyOne)
  .meta({ id: 'PreviewMessage' });

const shownTo = {
  contentVersion: z.int().min(1),
  customerId: z.uuid().nullable(),
};
const sender = z
  .string()
  .nullable()
  .meta({ description: 'null: the account’s messaging service or its first sender' });

export const MessagePreview = z
  .discriminatedUnion('channel', [
    z.object({
      ...shownTo,
      channel: z.literal('email'),
      from: z.object({ email: z.string(), name: z.string().nullable() }),
      replyTo: z.string().nullable(),
      subject: z.string(),
      html: z.string(),
      text: z.string(),
      links: z.array(z.string()).meta({
        description: 'Where the tracked links lead; the last part of each is its index here',
      }),
    }),
    z.object({
      ...shownTo,
      channel: z.literal('sms'),
      sender,
      body: z.string(),
      segments: z.object({
        encoding: z
          .enum(['gsm7', 'ucs2'])
          .meta({ description: 'ucs2 as soon as one character is outside of GSM-7' }),
        units: z.int(),
        segments: z.int().meta({ description: 'How many messages the network carries and bills' }),
      }),
    }),
    z.object({ ...shownTo, channel: z.literal('whatsapp'), sender, message: shownMessage }),
  ])
  .meta({ id: 'MessagePreview' });

export const SendTest = z
  .strictObject({
    to: z
      .array(z.string().trim().min(1).max(320))
      .min(1)
      .max(5)
      .meta({ description: 'Addresses of the campaign’s channel: e-mail, or phones in E.164' }),
    customerId: z
      .uuid()
      .optional()
      .meta({ description: 'Whose message it is; a made-up customer’s when left out' }),
  })
  .meta({ id: 'SendTest' });

export const TestSend = z
  .object({
    id: z.uuid(),
    state: z
      .enum([
        'planned',
        'calling',
        'accepted',
        'refused',
        'notSent',
        'inDoubt',
        'expired',
        'cancelled',
      ])
      .meta({ description: 'expired: no worker took it within ten minutes; nothing was sent' }),
    reason: z.string().nullable(),
    recipients: z.int().min(1),
    customerId: z.uuid().nullable(),
    createdAt: at,
    settledAt: at.nullable(),
  })
  .meta({ id: 'TestSend' });
