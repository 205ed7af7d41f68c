import { BaseModel } from '../base';

/** What a program signs in with: some permissions in one tenant. */
export class ApiKey extends BaseModel {
  static override readonly tableName = 'api_keys';
  static override readonly idColumn = ['tenant_id', 'id'];

  declare tenantId: string;
  declare id: string;
  declare name: string;
  /** Its beginning, for people to know it by. */
  declare prefix: string;
  declare hash: Buffer;
  declare scopes: string[];
  declare allowedIps: string[];
  declare expiresAt: Date | null;
  declare lastUsedAt: Date | null;
  declare lastUsedIp: string | null;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare revokedAt: Date | null;
}
