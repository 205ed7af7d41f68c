import type { HealthScope } from '../types';
import type { HealthSeen, KeyringSeen } from './types';
import { keysInUse } from './work';

/** What is asked when a person wants to know how a whole account stands. */
export interface AccountProbes {
  /** The keys whose pages are read. */
  keyIds: string[];
  /** What the balance is read for: once, where anything opens it. */
  polls: (HealthScope | null)[];
  /** The smallest calls, by which what no page tells is found out. */
  calls: { keyId: string; scope: HealthScope }[];
}

// All there is to know of these is on the page of the key.
const pageReasons: ReadonlySet<string> = new Set(['authentication', 'keyLimit']);

/** Finds what to ask; nothing where the account or its keys are paused. */
export function probesOf(seen: KeyringSeen, nowMs: number): AccountProbes {
  const keyIds = keysInUse(seen, nowMs).map(({ id }) => id);
  if (keyIds.length === 0) {
    return { keyIds, polls: [], calls: [] };
  }
  const { account, health } = seen;
  const ofAccount = health.find(({ scope }) => scope === 'account');
  const isOfBalance = ofAccount?.reason === 'credits' || ofAccount?.reason === 'tokenLimit';
  const polls = account.hasManagementKey ? [isOfBalance ? ('account' as const) : null] : [];
  const isRead = isOfBalance && account.hasManagementKey;
  const isHeld = (keyId: string) => health.some((row) => row.keyId === keyId);
  const asker = keyIds.find((keyId) => !isHeld(keyId));
  const called = health.filter(
    (row): row is HealthSeen & { keyId: string } =>
      row.keyId !== null && keyIds.includes(row.keyId) && !pageReasons.has(row.reason),
  );
  return {
    keyIds,
    polls,
    calls: [
      ...(ofAccount === undefined || isRead || asker === undefined
        ? []
        : [{ keyId: asker, scope: 'account' as const }]),
      ...called.map(({ keyId, scope }) => ({ keyId, scope })),
    ],
  };
}
