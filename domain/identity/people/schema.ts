import { z } from 'zod';
import { email, language, name, timeZone } from '../../customers/schema';
import { roles } from '../permissions';
import { password } from '../schema';

const companyName = z.string().trim().min(1).max(200);
const role = z.enum(roles);

/** A person's own profile, whole: what is left out is cleared. */
export const WriteProfile = z
  .strictObject({
    firstName: name.nullish(),
    lastName: name.nullish(),
    companyName: companyName.nullish(),
    language: language.nullish(),
    timeZone: timeZone.nullish(),
  })
  .meta({ id: 'WriteProfile' });

/** A password for another one. A present one that is too short to be one is just a wrong one. */
export const ChangePassword = z
  .strictObject({ current: z.string().max(1024), new: password })
  .meta({ id: 'ChangePassword' });

const maxLanguages = 100;

/** A tenant as somebody writes it. */
export const WriteTenant = z
  .strictObject({
    name: companyName,
    timeZone: timeZone.default('UTC'),
    defaultLanguage: language.default('en'),
    allowedLanguages: z
      .array(language)
      .max(maxLanguages)
      .default([])
      .transform((tags) => [...new Set(tags)])
      .meta({ description: 'Which languages content may have; none named means all' }),
  })
  .refine(
    ({ defaultLanguage, allowedLanguages }) =>
      allowedLanguages.length === 0 || allowedLanguages.includes(defaultLanguage),
    {
      path: ['defaultLanguage'],
      message: 'Must be one of the allowed languages.',
      params: { code: 'languageNotAllowed' },
    },
  )
  .meta({ id: 'WriteTenant' });

/** One of the tenants somebody works in. */
export const MyTenant = z
  .object({
    id: z.uuid(),
    name: z.string(),
    timeZone: z.string(),
    defaultLanguage: z.string(),
    role,
    memberSince: z.iso.datetime(),
    isSuspended: z.boolean(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'MyTenant' });

export const SwitchTenant = z.strictObject({ tenantId: z.uuid() }).meta({ id: 'SwitchTenant' });

/** The same sign-in with a token for another tenant. */
export const SwitchedTenant = z
  .object({
    accessToken: z.string(),
    expiresIn: z.int().meta({ description: 'Seconds until the access token is over' }),
    tenantId: z.uuid(),
    role,
  })
  .meta({ id: 'SwitchedTenant' });

/** Somebody who works in the tenant. */
export const Member = z
  .object({
    userId: z.uuid(),
    email: z.string(),
    firstName: z.string().nullable(),
    lastName: z.string().nullable(),
    role,
    memberSince: z.iso.datetime(),
    lastLoginAt: z.iso.datetime().nullable(),
    isMfaEnabled: z.boolean(),
    isEmailVerified: z.boolean(),
    isSuspended: z.boolean(),
  })
  .meta({ id: 'Member' });

export const ChangeRole = z.strictObject({ role }).meta({ id: 'ChangeRole' });

export const Invite = z.strictObject({ email, role }).meta({ id: 'Invite' });

export const Invitation = z
  .object({
    id: z.uuid(),
    email: z.string(),
    role,
    invitedBy: z.uuid().nullable(),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime(),
    isExpired: z.boolean(),
  })
  .meta({ id: 'Invitation' });

/**
 * By the token of the mail: whoever has no account with the address chooses a password, and whoever has
 * one shows it.
 */
export const AcceptInvitation = z
  .strictObject({
    token: z.string().min(1).max(200),
    password: z.string().min(1).max(1024),
    firstName: name.nullish(),
    lastName: name.nullish(),
  })
  .meta({ id: 'AcceptInvitation' });

/** For whoever is signed in with the address that was invited. */
export const JoinTenant = z
  .strictObject({ token: z.string().min(1).max(200) })
  .meta({ id: 'JoinTenant' });

export const AcceptedInvitation = z
  .object({ tenantId: z.uuid(), tenantName: z.string(), role, email: z.string() })
  .meta({ id: 'AcceptedInvitation' });
