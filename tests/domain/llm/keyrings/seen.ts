import type {
  AccountSeen,
  HealthSeen,
  KeyringSeen,
  KeySeen,
  TransitionSeen,
} from '../../../../domain/llm/keyrings/types';

/** Noon of a Saturday. */
export const now = Date.parse('2026-11-21T12:00:00Z');

export const at = (seconds: number) => new Date(now + seconds * 1_000).toISOString();

const standing = {
  standing: 'active',
  standingReason: null,
  standingBy: null,
  standingAt: at(-86_400),
} as const;

export function keySeen(id: string, values: Partial<KeySeen> = {}): KeySeen {
  return {
    id,
    label: `demo-${id}`,
    replacedBy: null,
    expiresAt: null,
    limitMicros: null,
    limitRemainingMicros: null,
    limitReset: null,
    limitsAt: at(-60),
    ...standing,
    ...values,
  };
}

export function healthSeen(values: Partial<HealthSeen>): HealthSeen {
  return {
    scope: values.keyId == null ? 'account' : 'key',
    keyId: null,
    model: null,
    state: 'cooling',
    reason: 'platformRateLimit',
    until: null,
    nextCheckAt: null,
    failures: 1,
    since: at(-10),
    evidence: {},
    ...values,
  };
}

export function transitionSeen(values: Partial<TransitionSeen>): TransitionSeen {
  return {
    at: at(-100),
    scope: values.keyId == null ? 'account' : 'key',
    keyId: null,
    model: null,
    fromState: 'well',
    toState: 'cooling',
    reason: 'platformRateLimit',
    until: null,
    actorKind: 'call',
    actorId: null,
    evidence: { status: 429 },
    ...values,
  };
}

/** An account with keys 1, 2 and 3, all well. */
export function ringSeen(
  values: Omit<Partial<KeyringSeen>, 'account'> & { account?: Partial<AccountSeen> } = {},
): KeyringSeen {
  const { account, ...others } = values;
  return {
    account: {
      id: 'a',
      tenantId: null,
      name: 'Acme main',
      vendor: 'openrouter',
      hasManagementKey: true,
      balanceMicros: 12_345_678,
      balanceAt: at(-60),
      balanceFloorMicros: 0,
      ...standing,
      ...account,
    },
    keys: ['1', '2', '3'].map((id) => keySeen(id)),
    health: [],
    transitions: [],
    words: [],
    isPoolDown: false,
    isFirstOfPool: true,
    ...others,
  };
}
