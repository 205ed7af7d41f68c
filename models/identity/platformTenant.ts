/**
 * The tenant that mails about people's own accounts are written for (migration 0030 makes it). It has
 * no members, no plan and no customers, and is in no list.
 */
export const platformTenantId = '00000000-0000-7000-8000-000000000001';
