import { z } from 'zod';
import { canonicalZone } from '../campaigns/zones';
import {
  fitsAttributes,
  maxAttributeNameLength,
  maxAttributesBytes,
  type Attributes,
} from './attributes';
import { normalizeEmail } from './email';
import { canonicalLanguage } from './language';
import { normalizePhone } from './phone';
import { maxTagLength, maxTags, normalizeTags } from './tags';
import { consentStatuses, importStates, suppressionChannels, suppressionReasons } from './types';

/** A text that a pure function brings into its one form, or refuses under a code of its own. */
function normalized(
  normalize: (text: string) => string | null,
  refusal: { code: string; message: string },
) {
  return z
    .string()
    .max(320)
    .transform((text, context) => {
      const value = normalize(text);
      if (value === null) {
        context.addIssue({
          code: 'custom',
          message: refusal.message,
          params: { code: refusal.code },
        });
        return z.NEVER;
      }
      return value;
    });
}

export const email = normalized(normalizeEmail, {
  code: 'wrongEmail',
  message: 'Is not an email address mail can be sent to.',
}).meta({ format: 'email' });

export const phone = normalized(normalizePhone, {
  code: 'wrongPhone',
  message: 'Is not a phone number in E.164, such as "+4930123456".',
}).meta({ examples: ['+4930123456'] });

export const language = normalized(canonicalLanguage, {
  code: 'wrongLanguage',
  message: 'Is not a BCP 47 language tag, such as "en" or "pt-BR".',
}).meta({ examples: ['pt-BR'] });

export const timeZone = normalized(canonicalZone, {
  code: 'unknownTimeZone',
  message: 'Is not an IANA time zone, such as "Europe/Berlin".',
}).meta({ examples: ['Europe/Berlin'] });

/** An instant (RFC 3339) no earlier and no later than these, whatever its offset makes of it. */
export function instantBetween(range: () => readonly [Date, Date], message: string) {
  return z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .refine(
      (at) => {
        const [earliest, latest] = range();
        return at >= earliest && at <= latest;
      },
      { params: { code: 'outOfRange' }, message },
    );
}

export const name = z.string().trim().min(1).max(100);
export const externalId = z.string().trim().min(1).max(200);
export const tag = z.string().trim().min(1).max(maxTagLength);

const tags = z.array(tag).max(maxTags).transform(normalizeTags);

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const attributeName = z.string().trim().min(1).max(maxAttributeNameLength);

const attributes = z
  .record(
    attributeName,
    // More could not fit: said before each of them is looked at.
    z.union(
      [scalar, z.array(scalar).max(maxAttributesBytes / 2), z.record(attributeName, scalar)],
      {
        error: 'Is not a text, number, boolean, null, or a list or object of these.',
      },
    ),
  )
  .refine(fits, {
    params: { code: 'attributesTooLarge' },
    message: `May have at most ${maxAttributesBytes} bytes of JSON.`,
  });

function fits(value: Attributes): boolean {
  return fitsAttributes(value);
}

const consentOfChannel = z.strictObject({
  status: z.enum(consentStatuses),
  source: z.string().trim().min(1).max(100).optional(),
  at: instantBetween(
    () => [new Date('1900-01-01T00:00:00Z'), new Date(Date.now() + 86_400_000)],
    'Must be between the year 1900 and tomorrow.',
  ).optional(),
});

const consent = z.strictObject({
  email: consentOfChannel.optional(),
  sms: consentOfChannel.optional(),
  whatsapp: consentOfChannel.optional(),
});

/**
 * A customer as a caller writes it. In a change (PATCH) what is left out stays and null clears; in
 * a whole (POST, PUT) both mean nothing is known.
 */
const written = z.strictObject({
  externalId: externalId.nullish(),
  email: email.nullish(),
  phone: phone.nullish(),
  firstName: name.nullish(),
  lastName: name.nullish(),
  language: language.nullish(),
  timeZone: timeZone.nullish(),
  tags: tags.nullish(),
  attributes: attributes.nullish(),
  consent: consent.nullish(),
});

export type WrittenCustomer = z.output<typeof written>;

export const ChangeCustomer = written.meta({ id: 'ChangeCustomer' });

export const WriteCustomer = written
  .refine(
    (customer) => customer.email != null || customer.phone != null || customer.externalId != null,
    {
      path: ['email'],
      params: { code: 'identityMissing' },
      message: 'Give an email, a phone or an externalId: a customer has at least one of them.',
    },
  )
  .meta({ id: 'WriteCustomer' });

const shownConsent = z.object({
  status: z.enum(consentStatuses),
  source: z.string().nullable(),
  at: z.iso.datetime().nullable(),
});

export const Customer = z
  .object({
    id: z.uuid(),
    externalId: z.string().nullable(),
    email: z.string().nullable(),
    phone: z.string().nullable(),
    firstName: z.string().nullable(),
    lastName: z.string().nullable(),
    language: z.string().nullable(),
    timeZone: z.string().nullable(),
    tags: z.array(z.string()),
    attributes: z.record(z.string(), z.unknown()),
    consent: z.object({ email: shownConsent, sms: shownConsent, whatsapp: shownConsent }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Customer' });

const suppressionReason = z.enum(suppressionReasons).default('manual');

export const AddSuppression = z
  .discriminatedUnion(
    'channel',
    [
      z.strictObject({
        channel: z.literal('email').optional().default('email'),
        address: email,
        reason: suppressionReason,
      }),
      z.strictObject({
        channel: z.enum(['sms', 'whatsapp']),
        address: phone,
        reason: suppressionReason,
      }),
    ],
    {
      error: ({ code }) =>
        code === 'invalid_union' ? `Is one of ${suppressionChannels.join(', ')}.` : undefined,
    },
  )
  .meta({ id: 'AddSuppression' });

export const Suppression = z
  .object({
    id: z.uuid(),
    channel: z.enum(suppressionChannels),
    address: z.string(),
    reason: z.enum(suppressionReasons),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Suppression' });

export const Import = z
  .object({
    id: z.uuid(),
    state: z.enum(importStates),
    fileName: z.string().nullable(),
    rowsRead: z.int(),
    created: z.int(),
    updated: z.int(),
    rejected: z.int(),
    rejectionsKept: z.int().meta({ description: 'How many of the rejected rows are listed' }),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
    createdAt: z.iso.datetime(),
    finishedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Import' });

export const ImportRejection = z
  .object({
    row: z.int().meta({ description: 'As a spreadsheet counts: the header is row 1' }),
    field: z.string().nullable(),
    code: z.string(),
    reason: z.string(),
  })
  .meta({ id: 'ImportRejection' });
