import { z } from 'zod';
import { auditActorKinds } from './auditActions';

const values = z.record(z.string(), z.unknown()).nullable();

/** One line of the audit log as people see it. */
export const AuditEntry = z
  .object({
    id: z.uuid(),
    tenantId: z.uuid().nullable().meta({ description: 'Null for what is of the platform' }),
    at: z.iso.datetime(),
    action: z
      .string()
      .meta({ description: 'What was done: a name of those that `listAuditLog` describes' }),
    actor: z.object({
      kind: z.enum(auditActorKinds),
      id: z.string().nullable(),
      impersonatorId: z
        .uuid()
        .nullable()
        .meta({ description: 'The platform’s admin who acted as this user' }),
    }),
    target: z
      .object({ kind: z.string(), id: z.string().nullable() })
      .nullable()
      .meta({ description: 'What it was done to' }),
    ip: z.string().nullable(),
    userAgent: z.string().nullable(),
    requestId: z.string().nullable(),
    before: values.meta({ description: 'What was changed, as it was, without what is secret' }),
    after: values.meta({ description: 'What was changed, as it is since' }),
  })
  .meta({ id: 'AuditEntry' });
