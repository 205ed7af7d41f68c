import { z } from 'zod';
import { noControls } from '../../oneLine';
import { email, phone } from '../../customers/schema';
import { accountChannels, connectionOutcomes, vendors } from './types';

const name = z.string().trim().min(1).max(100);
const maxSenders = 100;

// Keys and tokens go into HTTP headers.
const token = (pattern: RegExp, message: string) => z.string().max(500).regex(pattern, message);

const baseUrl = z
  .url({ protocol: /^https?$/ })
  .max(200)
  .meta({ description: 'The address of the sandbox; in development alone' });

/** Senders of a channel: no address twice, whatever its case. */
function senders(address: z.ZodType<string, string>) {
  return z
    .array(
      z.strictObject({
        address,
        name: z
          .string()
          .trim()
          .min(1)
          .max(100)
          .regex(noControls, 'Must be one line.')
          .nullable()
          .default(null),
      }),
    )
    .max(maxSenders)
    .refine(
      (list) => new Set(list.map((sender) => sender.address.toLowerCase())).size === list.length,
      { params: { code: 'senderRepeated' }, message: 'Names an address twice.' },
    );
}

const emailSenders = senders(email);
const phoneSenders = senders(phone);
/** A number, or a name where the network takes one. */
export const textSender = z.union([
  phone,
  z
    .string()
    .trim()
    .regex(
      /^(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}$/,
      'Is neither a number in E.164 nor a name of at most 11 letters and digits.',
    ),
]);
const textSenders = senders(textSender);

/** A DNS name or an IP address, as it is called; which ones may be called is decided elsewhere. */
const host = z
  .string()
  .trim()
  .toLowerCase()
  .max(253)
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*|[0-9a-f:.]*:[0-9a-f:.]*)$/,
    'Is not a host name or an IP address.',
  );

const settings = {
  sendgrid: z.strictObject({
    region: z.enum(['global', 'eu']).default('global'),
    baseUrl: baseUrl.optional(),
    activityLookUp: z.boolean().optional().meta({
      description:
        'The account is licensed for the Email Activity Feed, where calls in doubt are looked for',
    }),
    messagesPerCall: z.int().min(1).max(1_000).optional().meta({
      description:
        'At most so many messages a call; 1,000, which is the vendor’s most, if not given',
    }),
  }),
  smtp: z.strictObject({
    host,
    port: z.int().min(1).max(65_535).default(587),
    security: z.enum(['tls', 'starttls', 'none']).default('starttls').meta({
      description: '`tls` from the first byte (port 465); `starttls`, or the mail does not leave',
    }),
  }),
  twilio: z.strictObject({
    accountSid: token(/^AC[0-9a-f]{32}$/, 'Is AC and 32 characters of 0-9 and a-f.'),
    messagingServiceSid: token(
      /^MG[0-9a-f]{32}$/,
      'Is MG and 32 characters of 0-9 and a-f.',
    ).optional(),
    baseUrl: baseUrl.optional(),
  }),
  meta: z.strictObject({
    phoneNumberId: token(/^\d{5,20}$/, 'Is 5 to 20 digits.'),
    businessAccountId: token(/^\d{5,20}$/, 'Is 5 to 20 digits.'),
    apiVersion: token(/^v\d{2}\.\d$/, 'Is a version as v25.0.').optional(),
    baseUrl: baseUrl.optional(),
  }),
};

const writeOnly = { writeOnly: true } as const;

const credentials = {
  sendgrid: z.strictObject({
    apiKey: token(/^SG\.[\w.-]+$/, 'Is a key of SendGrid: SG. and what follows.').meta(writeOnly),
    // A P-256 key in SPKI: the same 27 bytes first, then the point.
    webhookPublicKey: token(
      /^MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE[A-Za-z0-9+/]{86}==$/,
      'Is the verification key that SendGrid shows for signed event webhooks.',
    )
      .optional()
      .meta(writeOnly),
  }),
  smtp: z.strictObject({
    username: z.string().min(1).max(500).meta(writeOnly),
    password: z.string().min(1).max(500).meta(writeOnly),
  }),
  twilio: z.strictObject({
    authToken: token(
      /^[\w-]{16,64}$/,
      'Is the token that Twilio shows beside the account SID.',
    ).meta(writeOnly),
  }),
  meta: z.strictObject({
    accessToken: token(/^[\w.|-]+$/, 'Is a token without white space.').meta(writeOnly),
    appSecret: token(/^[0-9a-f]{32}$/, 'Is 32 characters of 0-9 and a-f.').meta(writeOnly),
    // What anybody can guess would let anybody have our webhooks verified as theirs.
    verifyToken: token(/^[\w.~-]{16,200}$/, 'Is 16 to 200 letters, digits, and . _ ~ or -.')
      .optional()
      .meta(writeOnly),
  }),
};

const shared = { name, active: z.boolean().default(true) };
const twilioSenders = textSenders.default([]);

const written = {
  sendgrid: z.strictObject({
    ...shared,
    vendor: z.literal('sendgrid'),
    channel: z.literal('email'),
    settings: settings.sendgrid.prefault({}),
    credentials: credentials.sendgrid,
    senders: emailSenders.default([]),
  }),
  smtp: z.strictObject({
    ...shared,
    vendor: z.literal('smtp'),
    channel: z.literal('email'),
    settings: settings.smtp,
    credentials: credentials.smtp,
    senders: emailSenders.default([]),
  }),
  twilio: z.strictObject({
    ...shared,
    vendor: z.literal('twilio'),
    channel: z.enum(['sms', 'whatsapp']),
    settings: settings.twilio,
    credentials: credentials.twilio,
    senders: twilioSenders,
  }),
  meta: z.strictObject({
    ...shared,
    vendor: z.literal('meta'),
    channel: z.literal('whatsapp'),
    settings: settings.meta,
    credentials: credentials.meta,
    senders: phoneSenders.default([]),
  }),
};

/** A new account, with all that its vendor asks for. */
export const WriteProviderAccount = z
  .discriminatedUnion('vendor', [written.sendgrid, written.smtp, written.twilio, written.meta])
  .meta({ id: 'WriteProviderAccount' });

const kept = { description: 'What is stored stays when they are left out' };

/** An account as a whole; credentials that are left out stay. */
export const ReplaceProviderAccount = z
  .discriminatedUnion('vendor', [
    written.sendgrid.extend({ credentials: credentials.sendgrid.optional().meta(kept) }),
    written.smtp.extend({ credentials: credentials.smtp.optional().meta(kept) }),
    written.twilio.extend({ credentials: credentials.twilio.optional().meta(kept) }),
    written.meta.extend({ credentials: credentials.meta.optional().meta(kept) }),
  ])
  .meta({ id: 'ReplaceProviderAccount' });

const changed = {
  name: name.optional(),
  active: z.boolean().optional(),
};

/**
 * What a change may say. It does not name the vendor, so what it comes to is checked only once it
 * is put together with what is stored (ReplaceProviderAccount).
 */
export const ChangeProviderAccount = z
  .union([
    z.strictObject({
      ...changed,
      settings: settings.sendgrid.partial().optional(),
      credentials: credentials.sendgrid.optional(),
      senders: emailSenders.optional(),
    }),
    z.strictObject({
      ...changed,
      settings: settings.smtp.partial().optional(),
      credentials: credentials.smtp.optional(),
      senders: emailSenders.optional(),
    }),
    z.strictObject({
      ...changed,
      settings: settings.twilio.partial().optional(),
      credentials: credentials.twilio.optional(),
      senders: textSenders.optional(),
    }),
    z.strictObject({
      ...changed,
      settings: settings.meta.partial().optional(),
      credentials: credentials.meta.optional(),
      senders: phoneSenders.optional(),
    }),
  ])
  .meta({ id: 'ChangeProviderAccount' });

/** The parts of a change, not looked into yet. */
export const ChangeParts = z.strictObject({
  name: z.unknown().optional(),
  active: z.unknown().optional(),
  settings: z.record(z.string(), z.unknown()).optional(),
  credentials: z.unknown().optional(),
  senders: z.unknown().optional(),
});

export type WrittenAccount = z.output<typeof WriteProviderAccount>;
export type ReplacedAccount = z.output<typeof ReplaceProviderAccount>;

const ConnectionTest = z.object({
  at: z.iso.datetime(),
  outcome: z.enum(connectionOutcomes),
  reason: z.string().nullable(),
});

export const ProviderAccount = z
  .object({
    id: z.uuid(),
    channel: z.enum(accountChannels),
    vendor: z.enum(vendors),
    name: z.string(),
    settings: z
      .union([
        z.object({
          region: z.enum(['global', 'eu']),
          baseUrl: z.string().optional(),
          activityLookUp: z.boolean().optional(),
          messagesPerCall: z.int().optional(),
        }),
        z.object({
          host: z.string(),
          port: z.int(),
          security: z.enum(['tls', 'starttls', 'none']),
        }),
        z.object({
          accountSid: z.string(),
          messagingServiceSid: z.string().optional(),
          baseUrl: z.string().optional(),
        }),
        z.object({
          phoneNumberId: z.string(),
          businessAccountId: z.string(),
          apiVersion: z.string().optional(),
          baseUrl: z.string().optional(),
        }),
      ])
      .meta({ description: 'As the vendor’s accounts are written, without credentials' }),
    senders: z.array(z.object({ address: z.string(), name: z.string().nullable() })),
    active: z.boolean(),
    isDefault: z.boolean().meta({ description: 'Whether the channel’s messages leave by it' }),
    lastTest: ConnectionTest.nullable().meta({
      description: 'Of what is stored now: a change of settings or credentials forgets it',
    }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'ProviderAccount' });

/** What is stored of an account, once it is opened. */
export const StoredAccount = z.discriminatedUnion('vendor', [
  z.object({
    vendor: z.literal('sendgrid'),
    settings: settings.sendgrid,
    credentials: credentials.sendgrid,
  }),
  z.object({
    vendor: z.literal('smtp'),
    settings: settings.smtp,
    credentials: credentials.smtp,
  }),
  z.object({
    vendor: z.literal('twilio'),
    settings: settings.twilio,
    credentials: credentials.twilio,
  }),
  z.object({
    vendor: z.literal('meta'),
    settings: settings.meta,
    credentials: credentials.meta,
  }),
]);
