import type { PlanName, Quota, SubscriptionStatus } from '../../domain/identity/plans';
import { BaseModel } from '../base';

/** What a tenant subscribed to; one that has none has the free plan. */
export class Subscription extends BaseModel {
  static override readonly tableName = 'subscriptions';
  static override readonly idColumn = 'tenant_id';
  static override readonly jsonAttributes = ['limits'];

  declare tenantId: string;
  declare plan: PlanName;
  declare status: SubscriptionStatus;
  /** Null for one that goes on until it is changed. */
  declare expiresAt: Date | null;
  /** Limits of its own, in place of the plan's. */
  declare limits: Partial<Record<Quota, number | null>>;
  declare createdAt: Date;
  declare updatedAt: Date;
}
