import type { Knex } from 'knex';
import { notFound } from '../../domain/errors';
import type { EmailValues, SmsValues, WhatsAppValues } from './contentValues';

/** A version of what a campaign says, with the names its templates may show. */
export type CampaignContent = EmailCampaignContent | SmsCampaignContent | WhatsAppCampaignContent;

interface Version {
  version: number;
  campaignName: string;
  tenantName: string;
}

export interface EmailCampaignContent extends Version, Omit<EmailValues, 'links'> {}
export interface SmsCampaignContent extends Version, SmsValues {}
export interface WhatsAppCampaignContent extends Version, WhatsAppValues {}

/** The content as mail; for whoever has looked at the channel before. */
export function emailContent(content: CampaignContent): EmailCampaignContent {
  if (content.channel !== 'email') {
    throw new Error(`Content for ${content.channel} is no mail`);
  }
  return content;
}

/** The version and the name that were frozen when the run was scheduled. */
export async function loadRunContent(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<CampaignContent> {
  const loaded = await trx.raw(
    `select ${contentOf('r.campaign_name')} as content
       from campaign_runs r
       join campaign_contents t on t.tenant_id = r.tenant_id and t.campaign_id = r.campaign_id
        and t.version = r.content_version
       join tenants n on n.id = r.tenant_id
      where r.tenant_id = ? and r.id = ?`,
    [tenantId, runId],
  );
  if (loaded.rows[0] === undefined) {
    throw notFound('run');
  }
  return loaded.rows[0].content;
}

/** The version a draft would be sent with now. */
export async function loadCampaignContent(
  trx: Knex.Transaction,
  tenantId: string,
  campaignId: string,
): Promise<CampaignContent> {
  const loaded = await trx.raw(
    `select ${contentOf('c.name')} as content
       from campaigns c
       join campaign_contents t on t.tenant_id = c.tenant_id and t.campaign_id = c.id
        and t.version = c.content_version
       join tenants n on n.id = c.tenant_id
      where c.tenant_id = ? and c.id = ?`,
    [tenantId, campaignId],
  );
  if (loaded.rows[0] === undefined) {
    throw notFound('campaign');
  }
  return loaded.rows[0].content;
}

/** SQL: the content `t` of the tenant `n`, in the form of its channel. */
function contentOf(campaignName: string): string {
  return `
    jsonb_build_object('channel', t.channel, 'version', t.version,
      'campaignName', ${campaignName}, 'tenantName', n.name) ||
    case t.channel
      when 'email' then jsonb_build_object('fromName', t.from_name, 'fromEmail', t.from_email,
        'replyTo', t.reply_to, 'subject', t.subject, 'preheader', t.preheader, 'html', t.html,
        'text', t.text)
      when 'sms' then jsonb_build_object('sender', t.sender, 'body', t.message->'body')
      else jsonb_build_object('sender', t.sender, 'message', t.message)
    end`;
}
