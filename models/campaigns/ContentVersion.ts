import { BaseModel } from '../base';

/** One version of what a campaign says. What a run refers to is never changed again. */
export class ContentVersion extends BaseModel {
  static override readonly tableName = 'campaign_contents';
  static override readonly idColumn = ['tenant_id', 'campaign_id', 'version'];

  declare tenantId: string;
  declare campaignId: string;
  declare version: number;
  declare fromName: string | null;
  declare fromEmail: string;
  declare replyTo: string | null;
  declare subject: string;
  declare preheader: string | null;
  declare html: string;
  declare text: string | null;
  /** The targets of tracked links, by the index that stands in a tracking address. */
  declare links: string[];
}
