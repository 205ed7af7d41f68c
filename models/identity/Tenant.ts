import { BaseModel } from '../base';

/** One customer of ours: a world of its own. */
export class Tenant extends BaseModel {
  static override readonly tableName = 'tenants';

  declare id: string;
  declare name: string;
  declare timeZone: string;
  declare defaultLanguage: string;
  declare suspendedAt: Date | null;
  declare suspendedReason: string | null;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
}
