import type { PlanName, Quota, SubscriptionStatus } from '../../domain/identity/plans';
import { BaseModel } from '../base';

/** What a subscription became, by whom and why. */
export class SubscriptionChange extends BaseModel {
  static override readonly tableName = 'subscription_changes';
  static override readonly idColumn = ['tenant_id', 'id'];
  static override readonly jsonAttributes = ['limits'];

  declare tenantId: string;
  declare id: string;
  declare plan: PlanName;
  declare status: SubscriptionStatus;
  declare expiresAt: Date | null;
  declare limits: Partial<Record<Quota, number | null>>;
  declare reason: string | null;
  declare actorKind: 'user' | 'system';
  declare actorId: string | null;
  declare createdAt: Date;
}
