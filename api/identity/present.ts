import type { z } from 'zod';
import type {
  Access,
  Session,
  Tenant as TenantShape,
  User as UserShape,
} from '../../domain/identity/schema';
import type { ApiKey as ApiKeyShape } from '../../domain/identity/apiKeys/schema';
import type {
  Invitation as InvitationShape,
  Member as MemberShape,
  MyTenant,
} from '../../domain/identity/people/schema';
import type { AccessTokens } from '../../lib/accessTokens';
import type { Account } from '../../models/identity/accounts';
import type { ApiKey } from '../../models/identity/ApiKey';
import type { Invitation } from '../../models/identity/Invitation';
import type { Member } from '../../models/identity/members';
import type { TenantOfPerson } from '../../models/identity/tenants';
import type { Tenant } from '../../models/identity/Tenant';
import type { User } from '../../models/identity/User';

export function presentUser(user: User): z.output<typeof UserShape> {
  return {
    id: user.id,
    email: user.email,
    firstName: user.firstName,
    lastName: user.lastName,
    language: user.language,
    timeZone: user.timeZone,
    companyName: user.companyName,
    isEmailVerified: user.emailVerifiedAt !== null,
    isPlatformAdmin: user.isPlatformAdmin,
    isMfaEnabled: user.mfaEnabledAt !== null,
    lastLoginAt: user.lastLoginAt?.toISOString() ?? null,
    createdAt: user.createdAt.toISOString(),
  };
}

export function presentTenant(tenant: Tenant): z.output<typeof TenantShape> {
  return {
    id: tenant.id,
    name: tenant.name,
    timeZone: tenant.timeZone,
    defaultLanguage: tenant.defaultLanguage,
    allowedLanguages: tenant.allowedLanguages,
    createdAt: tenant.createdAt.toISOString(),
  };
}

/** A tenant as it stands in the list of somebody's own. */
export function presentMyTenant(tenant: TenantOfPerson): z.output<typeof MyTenant> {
  return {
    id: tenant.id,
    name: tenant.name,
    timeZone: tenant.timeZone,
    defaultLanguage: tenant.defaultLanguage,
    role: tenant.role,
    memberSince: tenant.memberSince.toISOString(),
    isSuspended: tenant.suspendedAt !== null,
    createdAt: tenant.createdAt.toISOString(),
  };
}

export function presentInvitation(invitation: Invitation): z.output<typeof InvitationShape> {
  return {
    id: invitation.id,
    email: invitation.email,
    role: invitation.role,
    invitedBy: invitation.invitedBy,
    createdAt: invitation.createdAt.toISOString(),
    expiresAt: invitation.expiresAt.toISOString(),
    isExpired: invitation.expiresAt <= new Date(),
  };
}

/** What people see of an API key: all but what opens something. */
export function presentApiKey(key: ApiKey): z.output<typeof ApiKeyShape> {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    scopes: key.scopes,
    expiresAt: key.expiresAt?.toISOString() ?? null,
    allowedIps: key.allowedIps,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    lastUsedIp: key.lastUsedIp,
    createdBy: key.createdBy,
    createdAt: key.createdAt.toISOString(),
    revokedAt: key.revokedAt?.toISOString() ?? null,
    isActive: key.revokedAt === null && (key.expiresAt === null || key.expiresAt > new Date()),
  };
}

/** What a tenant's managers see of a person: nothing of what they do elsewhere. */
export function presentMember(member: Member): z.output<typeof MemberShape> {
  return {
    userId: member.userId,
    email: member.email,
    firstName: member.firstName,
    lastName: member.lastName,
    role: member.role,
    memberSince: member.createdAt.toISOString(),
    lastLoginAt: member.lastLoginAt?.toISOString() ?? null,
    isMfaEnabled: member.mfaEnabledAt !== null,
    isEmailVerified: member.emailVerifiedAt !== null,
    isSuspended: member.suspendedAt !== null,
  };
}

/** A fresh access token, whose it is and where it works. */
export function presentAccess(
  { user, place }: Account,
  sessionId: string,
  accessTokens: AccessTokens,
): z.output<typeof Access> {
  const tenantId = place?.tenant.id ?? null;
  return {
    accessToken: accessTokens.issue({ userId: user.id, sessionId, tenantId }),
    expiresIn: accessTokens.lifetimeSeconds,
    user: presentUser(user),
    tenant: place === null ? null : presentTenant(place.tenant),
    role: place?.role ?? null,
  };
}

/** The same with the session's refresh token, which is shown this once. */
export function presentSession(
  account: Account,
  { sessionId, refreshToken }: { sessionId: string; refreshToken: string },
  accessTokens: AccessTokens,
): z.output<typeof Session> {
  return { ...presentAccess(account, sessionId, accessTokens), refreshToken };
}
