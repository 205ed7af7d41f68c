import type { Channel } from '../../domain/campaigns/types';
import { BaseModel } from '../base';

/** A message with its dispatch and its customer, as lists show it. */
export class LedgerMessage extends BaseModel {
  static override readonly tableName = 'messages';

  declare runId: string;
  declare n: number;
  declare customerId: string;
  declare channel: Channel;
  /** Its own outcome, else its dispatch's state. */
  declare state: string;
  declare reason: string | null;
  declare dispatchN: number;
  declare planVersion: number;
  declare waveN: number;
  /** Empty when the customer had none. */
  declare timeZone: string;
  declare calledAt: Date | null;
  declare providerMessageId: string | null;
  declare deliveredAt: Date | null;
  declare bouncedAt: Date | null;
  declare complainedAt: Date | null;
  declare firstOpenedAt: Date | null;
  declare firstClickedAt: Date | null;
  declare unsubscribedAt: Date | null;
  declare isCustomerThere: boolean;
  declare email: string | null;
  declare phone: string | null;
  declare firstName: string | null;
  declare lastName: string | null;
}
