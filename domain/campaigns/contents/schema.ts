import { z } from 'zod';
import { email, phone } from '../../customers/schema';
import { noControls } from '../../oneLine';
import { textSender } from '../../messages/accounts/schema';
import { maxTemplateVariables } from '../../messages/whatsAppContent';

/** A name: what stands in a header must not begin another one. */
export const oneLine = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(noControls, 'Must not hold line breaks or other control characters.');

const blankIsNull = (text: string | null | undefined) =>
  text == null || text.trim() === '' ? null : text;
const blankIsNullIfGiven = (text: string | null | undefined) =>
  text === undefined ? undefined : blankIsNull(text);
const orNull = <T>(value: T | null | undefined) => value ?? null;

const sender = {
  description: 'One of the account’s senders; left out, its messaging service or its first sender',
};

const template = z.strictObject({
  kind: z.literal('template'),
  id: z
    .string()
    .regex(/^\w{1,512}$/, 'Is letters, digits and underscores: a name at Meta, a SID at Twilio.')
    .meta({ description: 'The name of an approved template at Meta, its content SID at Twilio' }),
  language: z
    .string()
    .regex(/^[a-z]{2,3}(_[A-Za-z]{2,4})?$/, 'Is a language as Meta writes it, such as "pt_BR".')
    .meta({ description: 'As Meta writes it; a content SID at Twilio names its own' }),
  variables: z
    .record(
      z.string().regex(/^[A-Za-z0-9]\w{0,63}$/, 'Is no name of a variable, such as "1" or "city".'),
      z.string(),
    )
    .refine((variables) => Object.keys(variables).length <= maxTemplateVariables, {
      params: { code: 'tooBig' },
      message: `Has more than ${maxTemplateVariables} variables.`,
    })
    .default({})
    .meta({ description: 'Liquid for each variable of the template’s text' }),
});

const mediaUrl = z
  .url({ protocol: /^https$/, hostname: z.regexes.domain })
  .max(2_000)
  .refine((url) => !/\{[{%]/.test(url), {
    params: { code: 'wrongFormat' },
    message: 'Is the same for everybody: there is no Liquid in it.',
  })
  .refine((url) => !/^https:\/\/[^/?#]*@/i.test(url), {
    params: { code: 'wrongFormat' },
    message: 'Must not hold a password.',
  })
  .meta({ description: 'A public file that the vendor loads' });

const whatsAppMessage = z.discriminatedUnion('kind', [
  template,
  z.strictObject({ kind: z.literal('text'), body: z.string() }),
  z.strictObject({
    kind: z.literal('media'),
    url: mediaUrl,
    caption: z.string().nullish().transform(blankIsNull),
  }),
]);

/**
 * What a campaign says, by its channel. How long each text may be and what its Liquid may say is for
 * `checkedContent` to judge, which knows the line and the column.
 */
export const writtenContents = {
  email: z.strictObject({
    fromName: oneLine.nullish().transform(orNull),
    fromEmail: email,
    replyTo: email.nullish().transform(orNull),
    subject: z.string(),
    preheader: z.string().nullish().transform(blankIsNull),
    html: z.string(),
    text: z.string().nullish().transform(blankIsNull),
  }),
  sms: z.strictObject({
    sender: textSender.nullish().transform(orNull).meta(sender),
    body: z.string(),
  }),
  whatsapp: z.strictObject({
    sender: phone.nullish().transform(orNull).meta(sender),
    message: whatsAppMessage,
  }),
};

/** The parts of a change, which does not name the channel: only those of the campaign's own fit. */
export const changedContent = z.strictObject({
  fromName: oneLine.nullish(),
  fromEmail: email.optional(),
  replyTo: email.nullish(),
  subject: z.string().optional(),
  preheader: z.string().nullish().transform(blankIsNullIfGiven),
  html: z.string().optional(),
  text: z.string().nullish().transform(blankIsNullIfGiven),
  sender: textSender.nullish().meta({ description: 'Of a text message or WhatsApp' }),
  body: z.string().optional().meta({ description: 'Of a text message' }),
  message: whatsAppMessage.optional().meta({ description: 'Of WhatsApp; replaced as a whole' }),
});

const version = z.int();
const shownSender = z.string().nullable();

/** A WhatsApp message, with or without Liquid in its texts. */
export const shownMessage = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('template'),
    id: z.string(),
    language: z.string(),
    variables: z.record(z.string(), z.string()),
  }),
  z.object({ kind: z.literal('text'), body: z.string() }),
  z.object({ kind: z.literal('media'), url: z.string(), caption: z.string().nullable() }),
]);

/** What a campaign says, as it is stored. */
export const Content = z.union([
  z.object({
    version,
    fromName: z.string().nullable(),
    fromEmail: z.string(),
    replyTo: z.string().nullable(),
    subject: z.string(),
    preheader: z.string().nullable(),
    html: z.string(),
    text: z.string().nullable(),
  }),
  z.object({ version, sender: shownSender, body: z.string() }),
  z.object({
    version,
    sender: shownSender,
    message: shownMessage,
  }),
]);
