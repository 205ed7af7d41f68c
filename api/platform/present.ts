import type { z } from 'zod';
import type {
  PlatformTenant as TenantShape,
  PlatformUser as UserShape,
} from '../../domain/identity/platform/schema';
import type { PlatformTenant } from '../../models/identity/platform';
import type { User } from '../../models/identity/User';
import { presentTenant, presentUser } from '../identity/present';

export function presentPlatformTenant(tenant: PlatformTenant): z.output<typeof TenantShape> {
  return {
    ...presentTenant(tenant),
    ...presentSuspension(tenant),
    endedAt: tenant.endedAt?.toISOString() ?? null,
    createdBy: tenant.createdBy,
    members: tenant.memberCount,
    openRuns: tenant.openRunCount,
  };
}

export function presentPlatformUser(user: User): z.output<typeof UserShape> {
  return { ...presentUser(user), ...presentSuspension(user) };
}

function presentSuspension(of: { suspendedAt: Date | null; suspendedReason: string | null }) {
  return {
    isSuspended: of.suspendedAt !== null,
    suspendedAt: of.suspendedAt?.toISOString() ?? null,
    suspendedReason: of.suspendedReason,
  };
}
