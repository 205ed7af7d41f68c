import type {
  AccountChannel,
  ConnectionOutcome,
  Sender,
  Vendor,
  VendorSettings,
} from '../../domain/messages/accounts/types';
import { BaseModel } from '../base';

/**
 * One set of credentials at a vendor. The row's rate belongs to rates.ts. A row without a vendor has
 * nothing else; `ensurePlatformAccount` alone meets one.
 */
export class ProviderAccount extends BaseModel {
  static override readonly tableName = 'provider_accounts';
  static override readonly idColumn = 'id';
  static override readonly jsonAttributes = ['settings', 'senders'];

  declare id: string;
  /** Null for the platform's own. */
  declare tenantId: string | null;
  declare channel: AccountChannel;
  declare vendor: Vendor;
  declare name: string;
  /** Sealed; see accountCredentials.ts. */
  declare credentials: string;
  declare settings: VendorSettings[Vendor];
  declare senders: Sender[];
  declare active: boolean;
  declare isDefault: boolean;
  /** When it last ceased to be a default: open runs of that time may have calls by it. */
  declare defaultUntil: Date | null;
  /** Rises with every change of what a test would find. */
  declare version: number;
  declare testedAt: Date | null;
  declare testOutcome: ConnectionOutcome['kind'] | null;
  declare testReason: string | null;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
}
