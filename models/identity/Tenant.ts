import { BaseModel } from '../base';

/** One customer of ours: a world of its own. */
export class Tenant extends BaseModel {
  static override readonly tableName = 'tenants';

  declare id: string;
  declare name: string;
  declare timeZone: string;
  declare defaultLanguage: string;
  /** Which languages content may have; none named means all. */
  declare allowedLanguages: string[];
  declare suspendedAt: Date | null;
  declare suspendedReason: string | null;
  /** When its owner ended it: nobody works in it any more, and its rows wait to be erased. */
  declare endedAt: Date | null;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
}
