import { BaseModel } from '../base';
import type { ProviderAccount } from './ProviderAccount';

/** An account that a tenant sends by, its own or the platform's, without what opens it. */
export class UsableAccount extends BaseModel {
  static override readonly tableName = 'usable_accounts';
  static override readonly idColumn = 'id';
  static override readonly jsonAttributes = ['settings', 'senders'];

  declare id: string;
  declare tenantId: string | null;
  declare channel: ProviderAccount['channel'];
  declare vendor: ProviderAccount['vendor'];
  declare name: string;
  declare settings: ProviderAccount['settings'];
  declare senders: ProviderAccount['senders'];
  declare active: boolean;
  declare isDefault: boolean;
  declare version: number;
}
