import { z } from 'zod';
import {
  Campaign as CampaignShape,
  CampaignSummary,
  ChangeCampaign,
  WriteCampaign,
} from '../../domain/campaigns/schema';
import { invalid } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import type { Campaign } from '../../models/campaigns/Campaign';
import {
  campaignSorts,
  campaignsWhere,
  changeCampaign,
  createCampaign,
  lockCampaign,
  removeCampaign,
  requireCampaign,
  unknownCustomers,
  type CampaignValues,
} from '../../models/campaigns/campaigns';
import { contentValuesOf } from '../../models/campaigns/contentValues';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { fieldsOf, listPage } from '../lists';
import { basePath, reply, route } from '../route';
import { changedContent } from './changedContent';
import { checkedContent, type GivenContent } from './checkedContent';
import { presentCampaign, presentSummary } from './present';
import { ListCampaigns } from './requests';

const tags = ['campaigns'];
const params = { id: 'campaign' } as const;

const create = route({
  method: 'post',
  path: '/campaigns',
  name: 'createCampaign',
  summary: 'Write a campaign; nothing is sent before it is scheduled',
  tags,
  permission: 'campaign:write',
  body: json(WriteCampaign),
  idempotent: true,
  answers: { 201: CampaignShape },
  async handler({ body, inTenant, tenantId, userId, idempotentId }) {
    const values = writtenValues(body);
    const key = { tenantId, id: idempotentId() };
    const campaign = await inTenant(async (trx) => {
      await requireKnownCustomers(trx, tenantId, body.audience.customerIds);
      return createCampaign(trx, key, values, { kind: 'user', id: userId });
    });
    return reply(201, presentCampaign(campaign), {
      headers: { Location: `${basePath}/campaigns/${campaign.id}` },
    });
  },
});

const list = route({
  method: 'get',
  path: '/campaigns',
  name: 'listCampaigns',
  summary: 'List campaigns by filters',
  tags,
  permission: 'campaign:read',
  query: ListCampaigns,
  answers: { 200: z.array(CampaignSummary) },
  async handler({ query, inTenant, tenantId }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(campaignsWhere(trx, tenantId, query), {
        list: query,
        sorts: campaignSorts,
        present: presentSummary,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = route({
  method: 'get',
  path: '/campaigns/:id',
  name: 'getCampaign',
  summary: 'Read one campaign with its content and newest run',
  tags,
  permission: 'campaign:read',
  params,
  query: z.strictObject({ fields: fieldsOf(CampaignShape).optional() }),
  answers: { 200: CampaignShape },
  async handler({ params: { id }, inTenant, tenantId }) {
    const campaign = await inTenant((trx) => requireCampaign(trx, { tenantId, id }));
    return reply(200, presentCampaign(campaign));
  },
});

const replace = route({
  method: 'put',
  path: '/campaigns/:id',
  name: 'replaceCampaign',
  summary: 'Write a whole campaign: what is left out is cleared',
  description:
    'While a run is open only the name may differ from what is stored; the channel never may.',
  tags,
  permission: 'campaign:write',
  params,
  body: json(WriteCampaign),
  answers: { 200: CampaignShape },
  problems: ['campaignIsScheduled'],
  async handler({ params: { id }, body, ifMatch, inTenant, tenantId, userId }) {
    const values = writtenValues(body);
    const campaign = await inTenant(async (trx) => {
      const stored = await lockCampaign(trx, { tenantId, id });
      requireUnchanged(ifMatch, presentCampaign(stored));
      await requireKnownCustomers(trx, tenantId, newIds(stored, body.audience.customerIds));
      return changeCampaign(trx, stored, values, { kind: 'user', id: userId });
    });
    return reply(200, presentCampaign(campaign));
  },
});

const change = route({
  method: 'patch',
  path: '/campaigns/:id',
  name: 'changeCampaign',
  summary: 'Change a campaign: what is left out stays, null clears',
  description:
    'The parts of audience and content are changed one by one; a list is replaced as a whole. While a run is open only the name may change.',
  tags,
  permission: 'campaign:write',
  params,
  body: json(ChangeCampaign),
  answers: { 200: CampaignShape },
  problems: ['campaignIsScheduled'],
  async handler({ params: { id }, body, ifMatch, inTenant, tenantId, userId }) {
    const campaign = await inTenant(async (trx) => {
      const stored = await lockCampaign(trx, { tenantId, id });
      requireUnchanged(ifMatch, presentCampaign(stored));
      const values = changedValues(stored, body);
      await requireKnownCustomers(trx, tenantId, newIds(stored, values.audience.customerIds));
      return changeCampaign(trx, stored, values, { kind: 'user', id: userId });
    });
    return reply(200, presentCampaign(campaign));
  },
});

const remove = route({
  method: 'delete',
  path: '/campaigns/:id',
  name: 'deleteCampaign',
  summary: 'Remove a draft that never ran',
  tags,
  permission: 'campaign:write',
  params,
  answers: { 204: null },
  problems: ['campaignHasRun'],
  async handler({ params: { id }, inTenant, tenantId }) {
    await inTenant((trx) => removeCampaign(trx, { tenantId, id }));
    return reply(204);
  },
});

export const campaignRoutes = [create, list, get, replace, change, remove];

function writtenValues(body: z.output<typeof WriteCampaign>): CampaignValues {
  const { name, audience } = body;
  return { name, audience, content: checkedContent(givenContent(body)) };
}

function givenContent(body: z.output<typeof WriteCampaign>): GivenContent {
  switch (body.channel) {
    case 'email':
      return { channel: body.channel, ...body.content };
    case 'sms':
      return { channel: body.channel, ...body.content };
    case 'whatsapp':
      return { channel: body.channel, ...body.content };
  }
}

function changedValues(stored: Campaign, body: z.output<typeof ChangeCampaign>): CampaignValues {
  const { audience, content } = body;
  const was = contentValuesOf(stored.content);
  return {
    name: body.name ?? stored.name,
    audience: {
      includeTags: audience?.includeTags ?? stored.audience.includeTags,
      excludeTags: audience?.excludeTags ?? stored.audience.excludeTags,
      customerIds: audience?.customerIds ?? stored.audience.customerIds,
    },
    content: content === undefined ? was : changedContent(was, content),
  };
}

// Customers who were named before and removed since are no mistake of this request.
function newIds({ audience }: Campaign, customerIds: string[]): string[] {
  const known = new Set(audience.customerIds);
  return customerIds.filter((id) => !known.has(id));
}

async function requireKnownCustomers(
  trx: Knex.Transaction,
  tenantId: string,
  customerIds: string[],
): Promise<void> {
  const unknown = await unknownCustomers(trx, tenantId, customerIds);
  if (unknown.size > 0) {
    throw invalid(
      [...unknown].map((id) => ({
        path: 'audience.customerIds',
        code: 'unknownCustomer',
        message: `There is no customer ${id}.`,
      })),
    );
  }
}
