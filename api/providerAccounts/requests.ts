import { z } from 'zod';
import { ProviderAccount } from '../../domain/messages/accounts/schema';
import { accountChannels, vendors } from '../../domain/messages/accounts/types';
import { accountSorts } from '../../models/messages/accounts';
import { listQuery } from '../lists';

export const ListProviderAccounts = listQuery({
  item: ProviderAccount,
  sorts: accountSorts,
  defaultSort: '-createdAt',
  filters: {
    channel: z.enum(accountChannels).optional(),
    vendor: z.enum(vendors).optional(),
    active: z
      .enum(['true', 'false'])
      .transform((text) => text === 'true')
      .optional(),
  },
});
