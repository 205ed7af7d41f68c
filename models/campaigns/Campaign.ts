import { Model } from 'objection';
import type { Audience, Channel } from '../../domain/campaigns/types';
import { BaseModel } from '../base';
import { ContentVersion } from './ContentVersion';
import { Run } from './Run';

/** What a person writes and schedules. */
export class Campaign extends BaseModel {
  static override readonly tableName = 'campaigns';
  static override readonly idColumn = ['tenant_id', 'id'];
  static override readonly jsonAttributes = ['audience'];

  declare id: string;
  declare tenantId: string;
  declare name: string;
  declare channel: Channel;
  declare audience: Audience;
  declare contentVersion: number;
  declare currentRunId: string | null;
  declare createdBy: string | null;
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;

  /** The version a draft would be sent with. Lists load its subject alone. */
  declare content: ContentVersion;
  /** The newest run. */
  declare run: Run | null;

  static override readonly relationMappings = () => ({
    content: {
      relation: Model.BelongsToOneRelation,
      modelClass: ContentVersion,
      join: {
        from: ['campaigns.tenant_id', 'campaigns.id', 'campaigns.content_version'],
        to: [
          'campaign_contents.tenant_id',
          'campaign_contents.campaign_id',
          'campaign_contents.version',
        ],
      },
    },
    run: {
      relation: Model.BelongsToOneRelation,
      modelClass: Run,
      join: {
        from: ['campaigns.tenant_id', 'campaigns.current_run_id'],
        to: ['campaign_runs.tenant_id', 'campaign_runs.id'],
      },
    },
  });
}
