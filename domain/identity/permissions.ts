/** What a person may be in a tenant. */
export const roles = ['owner', 'member', 'viewer'] as const;

export type Role = (typeof roles)[number];

const viewer = [
  'self:read',
  'customer:read',
  'suppression:read',
  'campaign:read',
  'message:read',
] as const;

const member = [
  ...viewer,
  'customer:write',
  'suppression:write',
  'campaign:write',
  'campaign:test',
  'campaign:steer',
  'message:send',
  'providerAccount:read',
] as const;

const owner = [...member, 'tenant:write', 'providerAccount:write'] as const;

export type Permission = (typeof owner)[number];

const permissions: Record<Role, ReadonlySet<Permission>> = {
  owner: new Set(owner),
  member: new Set<Permission>(member),
  viewer: new Set<Permission>(viewer),
};

/** Whether the role may do it. */
export function isAllowed(role: Role, permission: Permission): boolean {
  return permissions[role].has(permission);
}

/** Whether the text names a role. */
export function isRole(text: string): text is Role {
  return roles.some((role) => role === text);
}
