import type { AuditAction, AuditActorKind } from '../../domain/identity/auditActions';
import type { AuditValues } from '../../domain/identity/auditValues';
import { BaseModel } from '../base';

/** One line of the audit log; it is never changed. */
export class AuditEntry extends BaseModel {
  static override readonly tableName = 'audit_log';

  declare id: string;
  declare tenantId: string | null;
  declare at: Date;
  declare actorKind: AuditActorKind;
  declare actorId: string | null;
  declare impersonatorId: string | null;
  declare action: AuditAction;
  declare targetKind: string | null;
  declare targetId: string | null;
  declare ip: string | null;
  declare userAgent: string | null;
  declare requestId: string | null;
  declare before: AuditValues | null;
  declare after: AuditValues | null;
}
