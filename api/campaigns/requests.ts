import { z } from 'zod';
import { campaignStatuses, CampaignSummary } from '../../domain/campaigns/schema';
import { accountChannels } from '../../domain/messages/accounts/types';
import { campaignSorts } from '../../models/campaigns/campaigns';
import { listQuery } from '../lists';

export const ListCampaigns = listQuery({
  item: CampaignSummary,
  sorts: campaignSorts,
  defaultSort: '-createdAt',
  filters: {
    status: z.enum(campaignStatuses).optional(),
    channel: z.enum(accountChannels).optional(),
    search: z.string().trim().min(1).max(100).optional(),
  },
});
