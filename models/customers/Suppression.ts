import type { suppressionChannels, suppressionReasons } from '../../domain/customers/types';
import { BaseModel } from '../base';

/** An address nothing may be sent to on this channel; kept in lower case. */
export class Suppression extends BaseModel {
  static override readonly tableName = 'suppressions';
  static override readonly idColumn = ['tenant_id', 'channel', 'address'];

  declare id: string;
  declare tenantId: string;
  declare channel: (typeof suppressionChannels)[number];
  declare address: string;
  declare reason: (typeof suppressionReasons)[number];
  declare runId: string | null;
  declare createdAt: Date;
}
