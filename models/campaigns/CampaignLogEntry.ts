import type { Actor } from '../../domain/campaigns/types';
import { BaseModel } from '../base';

/** One line of a campaign's lifecycle log. */
export class CampaignLogEntry extends BaseModel {
  static override readonly tableName = 'campaign_log';

  declare id: string;
  declare tenantId: string;
  declare campaignId: string;
  declare runId: string | null;
  declare kind: string;
  declare actorKind: Actor['kind'];
  declare actorId: string | null;
  declare detail: Record<string, unknown>;
  declare createdAt: Date;
}
