import { z } from 'zod';
import { campaignStatuses, CampaignSummary } from '../../domain/campaigns/schema';
import { campaignSorts } from '../../models/campaigns/campaigns';
import { listQuery } from '../lists';

export const ListCampaigns = listQuery({
  item: CampaignSummary,
  sorts: campaignSorts,
  defaultSort: '-createdAt',
  filters: {
    status: z.enum(campaignStatuses).optional(),
    search: z.string().trim().min(1).max(100).optional(),
  },
});
