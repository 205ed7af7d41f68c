import { z } from 'zod';
import { email, language, name, timeZone } from '../customers/schema';
import { roles } from './permissions';

/** How long a password is, in characters. */
export const passwordLength = { least: 12, most: 128 } as const;

/**
 * A password somebody chooses, in the one form of its characters (NFKC). Whether it is easily guessed
 * is for `requireGoodPassword` to say, which knows whose it is.
 */
export const password = z
  .string()
  .max(1024)
  .transform((text) => text.normalize('NFKC'))
  .superRefine((text, context) => {
    const { length } = Array.from(text);
    if (length < passwordLength.least) {
      context.addIssue({
        code: 'custom',
        params: { code: 'tooSmall' },
        message: `Must have at least ${passwordLength.least} characters.`,
      });
    }
    if (length > passwordLength.most) {
      context.addIssue({
        code: 'custom',
        params: { code: 'tooBig' },
        message: `Must have at most ${passwordLength.most} characters.`,
      });
    }
  })
  .meta({ format: 'password', minLength: passwordLength.least, maxLength: passwordLength.most });

/** What a registration asks for. */
export const Registration = z.strictObject({
  companyName: z.string().trim().min(1).max(200),
  email,
  password,
  firstName: name.nullish(),
  lastName: name.nullish(),
  timeZone: timeZone.default('UTC'),
  language: language.default('en'),
});

/** What a login asks for. A password that is too short to be one is just a wrong one. */
export const Login = z.strictObject({
  email: z.string().max(320),
  password: z.string().max(1024),
});

export const Tenant = z
  .object({
    id: z.uuid(),
    name: z.string(),
    timeZone: z.string(),
    defaultLanguage: z.string(),
    allowedLanguages: z
      .array(z.string())
      .meta({ description: 'Which languages content may have; none named means all' }),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Tenant' });

export const User = z
  .object({
    id: z.uuid(),
    email: z.string(),
    firstName: z.string().nullable(),
    lastName: z.string().nullable(),
    language: z.string().nullable(),
    timeZone: z.string().nullable(),
    companyName: z.string().nullable(),
    isEmailVerified: z.boolean(),
    isPlatformAdmin: z.boolean(),
    isMfaEnabled: z.boolean(),
    lastLoginAt: z.iso.datetime().nullable(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'User' });

const access = {
  accessToken: z.string(),
  expiresIn: z.int().meta({ description: 'Seconds until the access token is over' }),
  user: User,
  tenant: Tenant.nullable().meta({ description: 'Where the token works; null in no tenant' }),
  role: z.enum(roles).nullable().meta({ description: 'What the user is there' }),
};

/** A fresh access token of a session that goes on. */
export const Access = z.object(access).meta({ id: 'Access' });

export const Session = z
  .object({
    ...access,
    refreshToken: z.string().meta({
      description: 'Good once, for a fresh access token and the next refresh token; for 7 days',
    }),
  })
  .meta({ id: 'Session' });

/** Asks for the second step of a login. */
export const MfaRequired = z
  .object({
    mfaRequired: z.literal(true),
    mfaToken: z.string().meta({ description: 'For POST /auth/mfa/login; good for 5 minutes' }),
  })
  .meta({ id: 'MfaRequired' });

/** Said of what is done behind the answer, or not at all: which of them is nobody's business. */
export const Accepted = z.object({ status: z.literal('accepted') }).meta({ id: 'Accepted' });

export const Refresh = z.strictObject({ refreshToken: z.string().min(1).max(200) });

export const SignedInSession = z
  .object({
    id: z.uuid(),
    kind: z.enum(['api', 'codec']).meta({ description: 'codec: the view of workflow payloads' }),
    isCurrent: z.boolean().meta({ description: 'Whether this request is of it' }),
    isImpersonated: z.boolean().meta({ description: 'Whether an admin of the platform began it' }),
    createdAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().meta({ description: 'To the minute' }),
    expiresAt: z.iso.datetime(),
    ip: z.string().nullable(),
    userAgent: z.string().nullable(),
  })
  .meta({ id: 'SignedInSession' });

export const Me = z
  .object({
    user: User,
    tenant: Tenant.nullable(),
    role: z.enum(roles).nullable(),
    permissions: z.array(z.string()).meta({ description: 'All that the token allows' }),
  })
  .meta({ id: 'Me' });
