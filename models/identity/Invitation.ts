import type { Role } from '../../domain/identity/permissions';
import { BaseModel } from '../base';

/** That somebody with this address may come to work in a tenant. */
export class Invitation extends BaseModel {
  static override readonly tableName = 'invitations';
  static override readonly idColumn = ['tenant_id', 'id'];

  declare tenantId: string;
  declare id: string;
  declare email: string;
  declare role: Role;
  declare hash: Buffer;
  declare invitedBy: string | null;
  declare createdAt: Date;
  declare expiresAt: Date;
  declare acceptedAt: Date | null;
  declare acceptedBy: string | null;
  declare revokedAt: Date | null;
}
