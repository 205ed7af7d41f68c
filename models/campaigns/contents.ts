import type { Knex } from 'knex';
import { notFound } from '../../domain/errors';

/** A version of what a campaign says, with the names its templates may show. */
export interface CampaignContent {
  version: number;
  fromName: string | null;
  fromEmail: string;
  replyTo: string | null;
  subject: string;
  preheader: string | null;
  html: string;
  text: string | null;
  campaignName: string;
  tenantName: string;
}

const contentColumns = `
  t.version, t.from_name as "fromName", t.from_email as "fromEmail", t.reply_to as "replyTo",
  t.subject, t.preheader, t.html, t.text, n.name as "tenantName"`;

/** The version and the name that were frozen when the run was scheduled. */
export async function loadRunContent(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<CampaignContent> {
  const loaded = await trx.raw(
    `select ${contentColumns}, r.campaign_name as "campaignName"
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
  return loaded.rows[0];
}

/** The version a draft would be sent with now. */
export async function loadCampaignContent(
  trx: Knex.Transaction,
  tenantId: string,
  campaignId: string,
): Promise<CampaignContent> {
  const loaded = await trx.raw(
    `select ${contentColumns}, c.name as "campaignName"
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
  return loaded.rows[0];
}
