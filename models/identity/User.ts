import { BaseModel } from '../base';

/** A person who signs in: one account on the whole platform, a member of any number of tenants. */
export class User extends BaseModel {
  static override readonly tableName = 'users';

  declare id: string;
  declare email: string;
  /** The address in lower case, written by the database: people are found by it. */
  declare emailKey: string;
  declare passwordHash: string;
  declare firstName: string | null;
  declare lastName: string | null;
  declare companyName: string | null;
  declare language: string | null;
  declare timeZone: string | null;
  declare emailVerifiedAt: Date | null;
  declare passwordChangedAt: Date;
  /** Until when a one-time password opens the account; null for one its owner chose. */
  declare passwordExpiresAt: Date | null;
  declare isPlatformAdmin: boolean;
  declare suspendedAt: Date | null;
  declare suspendedReason: string | null;
  /** Sealed. */
  declare mfaSecret: string | null;
  /** When the seed was shown, which is to be turned on soon after. */
  declare mfaProposedAt: Date | null;
  declare mfaEnabledAt: Date | null;
  declare mfaLastStep: number | null;
  declare lastLoginAt: Date | null;
  declare createdAt: Date;
  declare updatedAt: Date;
}
