/** What a call asks for. */
export const callKinds = ['chat', 'embedding', 'image'] as const;

export type CallKind = (typeof callKinds)[number];

/** What became of a call. `lost`: its process died, and nobody knows. */
export const callOutcomes = ['open', 'succeeded', 'failed', 'cancelled', 'cached', 'lost'] as const;

export type CallOutcome = (typeof callOutcomes)[number];

/** Whose keys serve a tenant's calls. */
export const keySources = ['own', 'platform', 'ownFirst'] as const;

export type KeySource = (typeof keySources)[number];

/** By what usage is summed up. */
export const usageParts = ['user', 'feature', 'model', 'key'] as const;

export type UsagePart = (typeof usageParts)[number];
