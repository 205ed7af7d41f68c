import type { Role } from '../../domain/identity/permissions';
import { BaseModel } from '../base';

/** That a person works in a tenant, and as what. */
export class Membership extends BaseModel {
  static override readonly tableName = 'memberships';
  static override readonly idColumn = ['tenant_id', 'user_id'];

  declare tenantId: string;
  declare userId: string;
  declare role: Role;
  declare createdAt: Date;
  declare updatedAt: Date;
}
