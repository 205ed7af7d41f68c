import { z } from 'zod';
import { PlatformTenant, PlatformUser } from '../../domain/identity/platform/schema';
import { platformTenantSorts, platformUserSorts } from '../../models/identity/platform';
import { listQuery } from '../lists';

const filters = {
  search: z.string().trim().min(1).max(200).optional(),
  suspended: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional(),
};

export const ListPlatformTenants = listQuery({
  item: PlatformTenant,
  sorts: platformTenantSorts,
  defaultSort: '-createdAt',
  filters,
});

export const ListPlatformUsers = listQuery({
  item: PlatformUser,
  sorts: platformUserSorts,
  defaultSort: '-createdAt',
  filters,
});
