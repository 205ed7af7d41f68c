import type { HealthScope, HealthState, KeyStanding, LlmVendor } from '../types';

// What a keyring sees of its account: ids, the names people gave, states and instants as ISO texts.
// It travels through Temporal, so nothing in it opens anything.

/** How something stands by a person's word. */
export interface StandingSeen {
  standing: KeyStanding;
  standingReason: string | null;
  /** Who said it: the id of a user, null for an operator in the Temporal UI or the product itself. */
  standingBy: string | null;
  standingAt: string;
}

export interface AccountSeen extends StandingSeen {
  id: string;
  /** Null for the platform's. */
  tenantId: string | null;
  name: string;
  vendor: LlmVendor;
  hasManagementKey: boolean;
  balanceMicros: number | null;
  balanceAt: string | null;
  balanceFloorMicros: number;
}

export interface KeySeen extends StandingSeen {
  id: string;
  label: string;
  /** The newer key that came in its place. */
  replacedBy: string | null;
  expiresAt: string | null;
  limitMicros: number | null;
  limitRemainingMicros: number | null;
  limitReset: 'daily' | 'weekly' | 'monthly' | null;
  limitsAt: string | null;
}

/** What is not well, as calls and probes showed. */
export interface HealthSeen {
  scope: HealthScope;
  keyId: string | null;
  model: string | null;
  state: HealthState;
  reason: string;
  until: string | null;
  nextCheckAt: string | null;
  /** How often in a row. */
  failures: number;
  since: string;
  evidence: EvidenceSeen;
}

/** What showed it: of a failure, what its vendor said. */
export interface EvidenceSeen {
  status?: number | null;
  code?: string | null;
  retryAfterMs?: number | null;
  resetsAt?: number | null;
  /** Whether the key is still to be asked for at its vendor. */
  verify?: boolean;
}

export interface TransitionSeen {
  at: string;
  scope: HealthScope;
  keyId: string | null;
  model: string | null;
  fromState: string;
  toState: string;
  reason: string | null;
  until: string | null;
  actorKind: 'call' | 'probe' | 'timer' | 'user' | 'system';
  actorId: string | null;
  evidence: EvidenceSeen;
}

export interface KeyringSeen {
  account: AccountSeen;
  keys: KeySeen[];
  /** Of the account and its keys, and of the models and the platform of its pool. */
  health: HealthSeen[];
  /** Of the account and its keys, the newest first. */
  transitions: TransitionSeen[];
  /** What people did, further back than the others. */
  words: TransitionSeen[];
  /** Whether no account of the pool has a key that may be used now. */
  isPoolDown: boolean;
  /** Whether it looks after what is of the whole pool: the first account with a key that is well does,
   * or else the first that has a key in use. */
  isFirstOfPool: boolean;
}
