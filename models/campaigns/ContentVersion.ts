import type { Channel } from '../../domain/campaigns/types';
import type { SmsContent } from '../../domain/messages/smsContent';
import type { WhatsAppContent } from '../../domain/messages/whatsAppContent';
import { BaseModel } from '../base';

/**
 * One version of what a campaign says. What a run refers to is never changed again. Which columns
 * are filled goes by the channel: contentValues.ts knows.
 */
export class ContentVersion extends BaseModel {
  static override readonly tableName = 'campaign_contents';
  static override readonly idColumn = ['tenant_id', 'campaign_id', 'version'];
  static override readonly jsonAttributes = ['message'];

  declare tenantId: string;
  declare campaignId: string;
  declare version: number;
  declare channel: Channel;
  declare fromName: string | null;
  declare fromEmail: string | null;
  declare replyTo: string | null;
  declare subject: string | null;
  declare preheader: string | null;
  declare html: string | null;
  declare text: string | null;
  /** The targets of tracked links, by the index that stands in a tracking address. */
  declare links: string[];
  /** Of a text message or WhatsApp: one of the account's senders. */
  declare sender: string | null;
  declare message: SmsContent | WhatsAppContent | null;
}
