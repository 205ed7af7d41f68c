import { BaseModel } from '../base';

/** One sign-in of a person; all of its tokens are over when it is. */
export class Session extends BaseModel {
  static override readonly tableName = 'sessions';

  declare id: string;
  declare userId: string;
  declare kind: 'api' | 'codec';
  /** The tenant it works in now. */
  declare tenantId: string | null;
  declare createdAt: Date;
  declare lastUsedAt: Date;
  declare expiresAt: Date;
  declare revokedAt: Date | null;
  declare revokedReason: string | null;
  declare mfaAt: Date | null;
  declare impersonatedBy: string | null;
  declare ip: string | null;
  declare userAgent: string | null;
}
