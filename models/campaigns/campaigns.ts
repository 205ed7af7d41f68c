import { isDeepStrictEqual } from 'node:util';
import type { QueryBuilder } from 'objection';
import { conflict, invalidField, notFound } from '../../domain/errors';
import {
  runIsOpen,
  type Actor,
  type Audience,
  type CampaignStatus,
  type Channel,
  type DoubtPolicy,
  type Schedule,
} from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { Campaign } from './Campaign';
import { columnsOfContent, contentValuesOf, type ContentValues } from './contentValues';
import { ContentVersion } from './ContentVersion';
import { logCampaign } from './log';
import { reserveForRun } from './runQuota';
import { createRun, getRun, type CampaignRun } from './runs';
import { withSendingRules } from './sendingRules';

export interface CampaignValues {
  name: string;
  audience: Audience;
  content: ContentValues;
}

interface Key {
  tenantId: string;
  id: string;
}

export interface CampaignFilters {
  status?: CampaignStatus | undefined;
  channel?: Channel | undefined;
  /** A part of the name, in any case. */
  search?: string | undefined;
}

export const campaignSorts = {
  createdAt: { by: 'campaigns.created_at', type: 'timestamptz' },
  updatedAt: { by: 'campaigns.updated_at', type: 'timestamptz' },
  name: { by: 'lower(campaigns.name)', type: 'text' },
} as const satisfies Record<string, SortKey>;

/**
 * Writes a new campaign. A row with this id is taken for the same one written before, so that a
 * repeated request creates one campaign.
 */
export async function createCampaign(
  trx: Knex.Transaction,
  key: Key,
  { content, ...values }: CampaignValues,
  actor: Actor,
): Promise<Campaign> {
  const written = await Campaign.query(trx)
    .insert({ ...values, ...key, channel: content.channel, createdBy: actor.id })
    .onConflict(['tenant_id', 'id'])
    .ignore()
    .returning('*');
  // An ignored insert answers the values it was given, without what the table adds.
  if (written?.createdAt !== undefined) {
    await ContentVersion.query(trx).insert({
      ...columnsOfContent(content),
      tenantId: key.tenantId,
      campaignId: key.id,
      version: 1,
    });
    await logCampaign(trx, { ...logOf(key), kind: 'created', actor });
  }
  return requireCampaign(trx, key);
}

/** The campaign with its content and newest run, or notFound. */
export async function requireCampaign(trx: Knex.Transaction, key: Key): Promise<Campaign> {
  return orNotFound(
    await Campaign.query(trx).findById([key.tenantId, key.id]).withGraphFetched('[content, run]'),
  );
}

/** The same, kept from changes and new runs until the transaction ends. */
export async function lockCampaign(trx: Knex.Transaction, key: Key): Promise<Campaign> {
  return orNotFound(
    await Campaign.query(trx)
      .findById([key.tenantId, key.id])
      .forUpdate()
      .withGraphFetched('[content, run]'),
  );
}

/**
 * Writes the values over a locked campaign. Content that a run refers to stays as it is and gets a
 * newer version beside it. The channel stays: tests and reports of a campaign speak of one.
 *
 * @throws invalid when the values are of another channel.
 * @throws conflict campaignIsScheduled when audience or content would change while a run is open.
 */
export async function changeCampaign(
  trx: Knex.Transaction,
  campaign: Campaign,
  values: CampaignValues,
  actor: Actor,
): Promise<Campaign> {
  if (values.content.channel !== campaign.channel) {
    throw invalidField(
      'channel',
      'channelIsFixed',
      `The campaign goes out by ${campaign.channel}; write another one for another channel.`,
    );
  }
  const changed = changedParts(campaign, values);
  if (changed.length === 0) {
    return campaign;
  }
  const isOpen = campaign.run !== null && runIsOpen[campaign.run.state];
  if (isOpen && changed.some((part) => part !== 'name')) {
    throw conflict(
      'campaignIsScheduled',
      'Audience and content are frozen while the campaign is scheduled or sending: cancel it first.',
    );
  }
  const contentVersion = changed.includes('content')
    ? await writeContent(trx, campaign, values.content)
    : campaign.contentVersion;
  await Campaign.query(trx)
    .findById([campaign.tenantId, campaign.id])
    .patch({
      name: values.name,
      audience: values.audience,
      contentVersion,
      version: campaign.version + 1,
      updatedAt: trx.fn.now(),
    });
  await logCampaign(trx, { ...logOf(campaign), kind: 'changed', actor, detail: { changed } });
  return requireCampaign(trx, campaign);
}

/**
 * Removes a campaign that never ran, with its contents and log.
 *
 * @throws conflict campaignHasRun when the ledger speaks of it.
 */
export async function removeCampaign(trx: Knex.Transaction, key: Key): Promise<void> {
  const campaign = await lockCampaign(trx, key);
  if (campaign.run !== null) {
    throw conflict('campaignHasRun', 'Only a draft that never ran can be removed.');
  }
  await Campaign.query(trx).deleteById([key.tenantId, key.id]);
}

/** The tenant's campaigns that fit all the filters, each with its subject and newest run. */
export function campaignsWhere(
  trx: Knex.Transaction,
  tenantId: string,
  filters: CampaignFilters,
): QueryBuilder<Campaign, Campaign[]> {
  const query = Campaign.query(trx)
    .where('campaigns.tenant_id', tenantId)
    .withGraphFetched('[content(subjectOnly), run]')
    .modifiers({
      subjectOnly(content) {
        void content.select('tenant_id', 'campaign_id', 'version', 'subject');
      },
    });
  if (filters.channel !== undefined) {
    query.where('campaigns.channel', filters.channel);
  }
  if (filters.search !== undefined) {
    query.whereRaw('campaigns.name ilike ?', [`%${filters.search.replace(/[\\%_]/g, '\\$&')}%`]);
  }
  if (filters.status === 'draft') {
    query.whereNull('campaigns.current_run_id');
  } else if (filters.status !== undefined) {
    query.whereRaw(
      `exists (select 1 from campaign_runs r
                where r.tenant_id = campaigns.tenant_id and r.id = campaigns.current_run_id
                  and ${hasStatus[filters.status]})`,
    );
  }
  return query;
}

/** SQL: what `campaignStatus` says of the run `r`. */
const hasStatus: Record<Exclude<CampaignStatus, 'draft'>, string> = {
  scheduled: `r.state in ('planning', 'waiting') and r.gate <> 'paused'`,
  sending: `r.state = 'sending' and r.gate <> 'paused'`,
  paused: `r.state in ('planning', 'waiting', 'sending') and r.gate = 'paused'`,
  completed: `r.state = 'completed'`,
  cancelled: `r.state = 'cancelled'`,
  failed: `r.state = 'failed'`,
};

/**
 * Freezes audience, content and the tenant's rules of sending in a new run. A run with this id is taken for the same one written
 * before, so that a repeated request schedules once.
 *
 * @throws conflict campaignIsRunning while another run of the campaign is open.
 */
export async function scheduleCampaign(
  trx: Knex.Transaction,
  key: Key,
  wish: {
    runId: string;
    schedule: Schedule;
    doubtPolicy: DoubtPolicy;
    doubtDeadlineMs: number;
    actor: Actor;
  },
): Promise<{ campaign: Campaign; run: CampaignRun }> {
  const { runId, ...options } = wish;
  const campaign = await lockCampaign(trx, key);
  if (campaign.currentRunId === runId) {
    return { campaign, run: await getRun(trx, key.tenantId, runId) };
  }
  const run = await createRun(trx, {
    ...options,
    schedule: await withSendingRules(trx, { ...key, channel: campaign.channel }, wish.schedule),
    id: runId,
    tenantId: key.tenantId,
    campaignId: key.id,
    channel: campaign.channel,
    contentVersion: campaign.contentVersion,
    audience: campaign.audience,
  });
  await reserveForRun(trx, run);
  return { campaign: await requireCampaign(trx, key), run };
}

/** Which of the ids are of no customer of the tenant, in one statement. */
export async function unknownCustomers(
  trx: Knex.Transaction,
  tenantId: string,
  customerIds: string[],
): Promise<Set<string>> {
  if (customerIds.length === 0) {
    return new Set();
  }
  const found = await trx.raw(
    `select given.id from unnest(cast(? as uuid[])) as given (id)
      where not exists (select 1 from customers c where c.tenant_id = ? and c.id = given.id)`,
    [customerIds, tenantId],
  );
  const rows: { id: string }[] = found.rows;
  return new Set(rows.map(({ id }) => id));
}

function changedParts(campaign: Campaign, values: CampaignValues): string[] {
  const { audience, content } = campaign;
  const parts = [
    { part: 'name', was: campaign.name, is: values.name },
    { part: 'audience', was: audienceParts(audience), is: audienceParts(values.audience) },
    { part: 'content', was: asWritten(contentValuesOf(content)), is: asWritten(values.content) },
  ];
  return parts.filter(({ was, is }) => !isDeepStrictEqual(was, is)).map(({ part }) => part);
}

function audienceParts({ includeTags, excludeTags, customerIds }: Audience) {
  return [includeTags, excludeTags, customerIds];
}

/** Links follow from the rest, and from how they are found today. */
function asWritten(content: ContentValues) {
  return content.channel === 'email' ? { ...content, links: [] } : content;
}

async function writeContent(
  trx: Knex.Transaction,
  { tenantId, id, contentVersion }: Campaign,
  content: ContentValues,
): Promise<number> {
  const used = await trx.raw(
    `select 1 from campaign_runs where tenant_id = ? and campaign_id = ? and content_version = ?
      limit 1`,
    [tenantId, id, contentVersion],
  );
  if (used.rows.length === 0) {
    await ContentVersion.query(trx)
      .findById([tenantId, id, contentVersion])
      .patch(columnsOfContent(content));
    return contentVersion;
  }
  const version = contentVersion + 1;
  await ContentVersion.query(trx).insert({
    ...columnsOfContent(content),
    tenantId,
    campaignId: id,
    version,
  });
  return version;
}

function logOf({ tenantId, id }: Key) {
  return { tenantId, campaignId: id, runId: null };
}

function orNotFound(campaign: Campaign | undefined): Campaign {
  if (campaign === undefined) {
    throw notFound('campaign');
  }
  return campaign;
}
