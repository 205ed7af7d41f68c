import { z } from 'zod';
import { keyStates } from '../../llm/types';
import { roles } from '../permissions';
import { Tenant, User } from '../schema';

const reason = z.string().trim().min(1).max(500);

/** Why somebody is suspended, kept beside it and in the audit log. */
export const Suspend = z.strictObject({ reason }).meta({ id: 'Suspend' });

export const Impersonate = z
  .strictObject({ tenantId: z.uuid(), reason })
  .meta({ id: 'Impersonate' });

/** A session that acts as somebody else. */
export const Impersonation = z
  .object({
    accessToken: z.string(),
    expiresIn: z.int().meta({ description: 'Seconds until token and session are over' }),
    sessionId: z.uuid(),
    userId: z.uuid(),
    tenantId: z.uuid(),
    role: z.enum(roles),
  })
  .meta({ id: 'Impersonation' });

export const PlatformTenant = Tenant.extend({
  isSuspended: z.boolean(),
  suspendedAt: z.iso.datetime().nullable(),
  suspendedReason: z.string().nullable(),
  endedAt: z.iso.datetime().nullable().meta({ description: 'When its owner ended it' }),
  createdBy: z.uuid().nullable(),
  members: z.int(),
  openRuns: z.int().meta({ description: 'Runs of campaigns that are not over' }),
}).meta({ id: 'PlatformTenant' });

export const PlatformUser = User.extend({
  isSuspended: z.boolean(),
  suspendedAt: z.iso.datetime().nullable(),
  suspendedReason: z.string().nullable(),
}).meta({ id: 'PlatformUser' });

/** One person, with where they work. */
export const PlatformUserDetail = PlatformUser.extend({
  tenants: z.array(z.object({ id: z.uuid(), name: z.string(), role: z.enum(roles) })),
}).meta({ id: 'PlatformUserDetail' });

const llmSums = z.object({ calls: z.int(), failed: z.int(), costMicros: z.int() });

export const PlatformStats = z
  .object({
    tenants: z.int(),
    suspendedTenants: z.int(),
    users: z.int(),
    suspendedUsers: z.int(),
    openRuns: z.int(),
    sendingRuns: z.int(),
    llm: z
      .object({
        today: llmSums,
        month: llmSums,
        keys: z
          .record(z.enum(keyStates), z.int())
          .meta({ description: 'The platform’s, by the worst that holds of each' }),
        accountsOutOfCredit: z.int(),
      })
      .meta({ description: 'Calls of language models by all tenants, in UTC' }),
  })
  .meta({ id: 'PlatformStats' });
