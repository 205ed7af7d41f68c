import type { ClaimedMessage } from '../../models/transactional/claims';

type Held = Pick<ClaimedMessage, 'accountId' | 'tenantId'>;

// Messages of a lane that are under way at once.
const most = 100;
// Of one account and of one tenant: whose provider is slow to answer, or who asks for many at once,
// leaves room for the others.
const mostOfAccount = 50;
const mostOfTenant = 25;
const mostAClaim = 25;

/** Who holds how many of a lane's places. */
export interface Places {
  /** How many messages may be claimed now. */
  free(): number;
  /** Who has no place left. */
  full(): { accountIds: string[]; tenantIds: string[] };
  take(messages: readonly Held[]): void;
  /** Gives the place of a message back; doing it twice changes nothing. */
  leave(message: Held): void;
}

/** The places of a lane; `onLeave` is told whenever one is free again. */
export function createPlaces(onLeave: () => void): Places {
  const held = new Set<Held>();
  const ofAccount = new Map<string, number>();
  const ofTenant = new Map<string, number>();
  const count = ({ accountId, tenantId }: Held, change: 1 | -1) => {
    add(ofTenant, tenantId, change);
    if (accountId !== null) {
      add(ofAccount, accountId, change);
    }
  };
  return {
    free: () => Math.min(most - held.size, mostAClaim),
    full: () => ({
      accountIds: namesFrom(ofAccount, mostOfAccount),
      tenantIds: namesFrom(ofTenant, mostOfTenant),
    }),
    take(messages) {
      for (const message of messages) {
        held.add(message);
        count(message, 1);
      }
    },
    leave(message) {
      if (held.delete(message)) {
        count(message, -1);
        onLeave();
      }
    },
  };
}

function add(counts: Map<string, number>, name: string, change: number): void {
  const now = (counts.get(name) ?? 0) + change;
  if (now === 0) {
    counts.delete(name);
  } else {
    counts.set(name, now);
  }
}

function namesFrom(counts: ReadonlyMap<string, number>, least: number): string[] {
  return [...counts].filter(([, held]) => held >= least).map(([name]) => name);
}
