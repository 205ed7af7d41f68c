/** What a person may be in a tenant. */
export const roles = ['owner', 'agency', 'member', 'viewer'] as const;

export type Role = (typeof roles)[number];

interface Action {
  readonly roles: readonly Role[];
  /** What it lets one do, as a sentence for the documentation. */
  readonly means: string;
}

const everyone = roles;
const editors = ['owner', 'agency', 'member'] as const;
const managers = ['owner', 'agency'] as const;
const owners = ['owner'] as const;

/**
 * Who may do what in a tenant: the one table that routes, the OpenAPI document and the documentation
 * are made from. An API key has some of these as its scopes.
 */
export const tenantActions = {
  'customer:read': { roles: everyone, means: 'See customers and imports.' },
  'customer:write': { roles: editors, means: 'Create, change and import customers.' },
  'suppression:read': { roles: everyone, means: 'See who is not to be written to.' },
  'suppression:write': { roles: editors, means: 'Change who is not to be written to.' },
  'campaign:read': { roles: everyone, means: 'See campaigns, their progress and their logs.' },
  'campaign:write': { roles: editors, means: 'Create and change campaigns.' },
  'campaign:test': { roles: editors, means: 'Send tests of a campaign.' },
  'campaign:steer': { roles: editors, means: 'Schedule, pause, resume and cancel campaigns.' },
  'message:read': { roles: everyone, means: 'See messages and what became of them.' },
  'message:send': { roles: editors, means: 'Send single messages.' },
  'providerAccount:read': { roles: editors, means: 'See the accounts at providers.' },
  'providerAccount:write': {
    roles: owners,
    means: 'Create, change and remove accounts at providers.',
  },
  'llm:use': { roles: editors, means: 'Ask language models.' },
  'llmKey:read': {
    roles: managers,
    means: 'See the accounts and keys at vendors of language models, and how they stand.',
  },
  'llmKey:write': {
    roles: owners,
    means: 'Add, change, steer and remove accounts and keys at vendors of language models.',
  },
  'llmUsage:read': {
    roles: editors,
    means: 'See what language models were used for and what that cost.',
  },
  'llmBudget:write': {
    roles: owners,
    means: 'Change what may be spent on language models, and how they are used.',
  },
  'content:read': { roles: everyone, means: 'See generated content.' },
  'content:write': { roles: editors, means: 'Have content generated.' },
  'tenant:read': { roles: everyone, means: 'See the tenant and its settings.' },
  'tenant:write': { roles: owners, means: 'Change, and end, the tenant.' },
  'member:read': { roles: managers, means: 'See who works in the tenant, and invitations.' },
  'member:write': { roles: owners, means: 'Invite people, change their roles, remove them.' },
  'apiKey:read': { roles: owners, means: 'See the API keys.' },
  'apiKey:write': { roles: owners, means: 'Create, change and revoke API keys.' },
  'subscription:read': {
    roles: everyone,
    means: 'See the plan, its history and what is used of it.',
  },
  'audit:read': { roles: owners, means: 'Read and export the audit log.' },
  'workflow:decode': {
    roles: editors,
    means: 'Read what the workflows of the tenant hold, in the Temporal UI.',
  },
} as const satisfies Record<string, Action>;

export type TenantAction = keyof typeof tenantActions;

/** Their names, in the order of the table. */
export const tenantActionNames = Object.keys(tenantActions).filter(isTenantAction);

/** What everybody who is signed in may do, whatever their role, in a tenant or in none. */
export const ownActions = {
  'self:read': 'See your own profile, sessions and tenants, and log out.',
  'self:write': 'Change your own profile, password and second factor, and create tenants.',
} as const;

export type OwnAction = keyof typeof ownActions;

export const ownActionNames: readonly OwnAction[] = ['self:read', 'self:write'];

/** What platform admins may do, and nobody else. */
export const platformActions = {
  'platform:read': 'See all tenants and users, and the platform’s audit log.',
  'platform:write': 'Suspend tenants and users, change plans, rotate keys.',
  'platform:impersonate': 'Act as another user, which stands in the audit log.',
} as const;

export type PlatformAction = keyof typeof platformActions;

export const platformActionNames: readonly PlatformAction[] = [
  'platform:read',
  'platform:write',
  'platform:impersonate',
];

export type Permission = TenantAction | OwnAction | PlatformAction;

/** What nobody does who acts as somebody else. */
export const neverImpersonated: ReadonlySet<Permission> = new Set<Permission>([
  'self:write',
  'tenant:write',
  'member:write',
  'apiKey:write',
]);

// What opens the door to more than a key was given, or needs a person: managing keys, people and the
// tenant itself, and reading what workflows hold, in a page that signs in by itself.
const neverScopes: ReadonlySet<TenantAction> = new Set<TenantAction>([
  'tenant:write',
  'member:read',
  'member:write',
  'apiKey:read',
  'apiKey:write',
  'workflow:decode',
]);

/** What an API key can be given. */
export const scopes = tenantActionNames.filter((name) => !neverScopes.has(name));

/** Whether an API key can be given this. */
export function isScope(text: string): text is TenantAction {
  return isTenantAction(text) && !neverScopes.has(text);
}

/** All that a role lets one do in its tenant. */
export function permissionsOf(role: Role): ReadonlySet<TenantAction> {
  return byRole[role];
}

const byRole: Record<Role, ReadonlySet<TenantAction>> = {
  owner: actionsOf('owner'),
  agency: actionsOf('agency'),
  member: actionsOf('member'),
  viewer: actionsOf('viewer'),
};

function actionsOf(role: Role): ReadonlySet<TenantAction> {
  return new Set(
    tenantActionNames.filter((name) => tenantActions[name].roles.some((one) => one === role)),
  );
}

/** Whether the text names an action in a tenant. */
export function isTenantAction(text: string): text is TenantAction {
  return Object.hasOwn(tenantActions, text);
}

/** Whether the text names what everybody may do for themselves. */
export function isOwnAction(text: string): text is OwnAction {
  return Object.hasOwn(ownActions, text);
}

/** Whether the text names a permission of any kind. */
export function isPermission(text: string): text is Permission {
  return [tenantActions, ownActions, platformActions].some((table) => Object.hasOwn(table, text));
}

/** Whether the text names a role. */
export function isRole(text: string): text is Role {
  return roles.some((role) => role === text);
}
