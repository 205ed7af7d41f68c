import { z } from 'zod';
import { ApiKey } from '../../domain/identity/apiKeys/schema';
import { Invitation, Member, MyTenant } from '../../domain/identity/people/schema';
import { roles } from '../../domain/identity/permissions';
import { apiKeySorts } from '../../models/identity/apiKeys';
import { invitationSorts } from '../../models/identity/invitations';
import { memberSorts } from '../../models/identity/members';
import { tenantSorts } from '../../models/identity/tenants';
import { listQuery } from '../lists';

export const ListTenants = listQuery({
  item: MyTenant,
  sorts: tenantSorts,
  defaultSort: 'memberSince',
  filters: {},
});

export const ListMembers = listQuery({
  item: Member,
  sorts: memberSorts,
  defaultSort: 'memberSince',
  filters: { role: z.enum(roles).optional() },
});

export const ListApiKeys = listQuery({
  item: ApiKey,
  sorts: apiKeySorts,
  defaultSort: '-createdAt',
  filters: {
    active: z
      .enum(['true', 'false'])
      .transform((text) => text === 'true')
      .optional(),
  },
});

export const ListInvitations = listQuery({
  item: Invitation,
  sorts: invitationSorts,
  defaultSort: '-createdAt',
  filters: {},
});
