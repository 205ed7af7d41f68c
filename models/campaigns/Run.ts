import { BaseModel } from '../base';
import type { CampaignRun } from './runs';

/** A run as lists load it beside its campaign; runs.ts is what writes one. */
export class Run extends BaseModel {
  static override readonly tableName = 'campaign_runs';
  static override readonly jsonAttributes = ['audience', 'schedule', 'leftOut', 'estimate'];

  declare id: string;
  declare tenantId: string;
  declare campaignId: string;
  declare n: number;
  declare channel: CampaignRun['channel'];
  declare accountId: string | null;
  declare contentVersion: number;
  declare audience: CampaignRun['audience'];
  declare schedule: CampaignRun['schedule'];
  declare state: CampaignRun['state'];
  declare gate: CampaignRun['gate'];
  declare gateReason: string | null;
  declare failure: string | null;
  declare planVersion: number;
  declare planSealedAt: Date | null;
  declare leftOut: Record<string, number>;
  declare doubtPolicy: CampaignRun['doubtPolicy'];
  declare doubtDeadlineMs: number;
  declare startsAt: Date | null;
  declare completedAt: Date | null;
  declare createdAt: Date;
}
