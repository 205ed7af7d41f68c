import type { Role } from '../../domain/identity/permissions';
import { BaseModel } from '../base';

/** A person who logs in; the address is theirs across all tenants. */
export class User extends BaseModel {
  static override readonly tableName = 'users';
  static override readonly idColumn = ['tenant_id', 'id'];

  declare id: string;
  declare tenantId: string;
  declare email: string;
  declare passwordHash: string;
  declare firstName: string | null;
  declare lastName: string | null;
  declare language: string | null;
  declare timeZone: string | null;
  declare role: Role;
  declare lastLoginAt: Date | null;
  declare createdAt: Date;
  declare updatedAt: Date;
}
