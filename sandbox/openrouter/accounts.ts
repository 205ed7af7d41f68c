const DAY_MS = 86_400_000;

/** Anything an account's owner may do; opens no model. */
const MANAGEMENT = 'management';

export type LimitReset = 'daily' | 'weekly' | 'monthly';

/** A key of an account, as the vendor's site would make it. */
export interface OpenRouterSandboxKey {
  secret: string;
  /** Unique among all keys. */
  label: string;
  /** What it may spend, in all or between two resets; without it as much as the account has. */
  limitMicros?: number | null;
  limitReset?: LimitReset | null;
  /** ISO 8601. */
  expiresAt?: string | null;
}

/** An account with its credit. */
export interface OpenRouterSandboxAccount {
  id: string;
  /** In millionths of a US dollar. */
  creditMicros: number;
  /** Opens `/credits`, and no model. */
  managementKey?: string;
  keys: readonly OpenRouterSandboxKey[];
}

const demoSecret = (last4: string) => `sk-or-v1-${'5a'.repeat(30)}${last4}`;

/** Two accounts of three keys each, for demonstrations. */
export const DEMO_OPENROUTER_ACCOUNTS: readonly OpenRouterSandboxAccount[] = ['north', 'south'].map(
  (id, place) => ({
    id,
    creditMicros: 25_000_000,
    managementKey: demoSecret(`${place}f00`),
    keys: [1, 2, 3].map((n) => ({
      secret: demoSecret(`${place}a0${n}`),
      label: `${id}-${n}`,
      // One key of each account has a limit of its own.
      ...(n === 3 ? { limitMicros: 5_000_000, limitReset: 'daily' as const } : {}),
    })),
  }),
);

/** What a key used, in micros. */
interface Used {
  total: number;
  daily: number;
  weekly: number;
  monthly: number;
}

/** A key as it stands. */
export interface KeyState {
  readonly account: AccountState;
  readonly label: string;
  readonly secret: string;
  readonly last4: string;
  limitMicros: number | null;
  limitReset: LimitReset | null;
  expiresAt: string | null;
  isRevoked: boolean;
  readonly used: Used;
  /** The UTC day of the last use, counted since 1970. */
  day: number;
}

/** An account as it stands. */
export interface AccountState {
  readonly id: string;
  readonly managementKey: string | null;
  /** What was ever bought. */
  boughtMicros: number;
  usedMicros: number;
  readonly keys: KeyState[];
  /** When models that cost nothing were asked, in the last minute, and how often this day. */
  free: { recent: number[]; day: number; today: number };
}

/** Whom a token belongs to. */
export type Bearer =
  | { kind: 'key'; key: KeyState }
  | { kind: typeof MANAGEMENT; account: AccountState };

/** Accounts and keys by what opens them. */
export class OpenRouterAccounts {
  private readonly bearers = new Map<string, Bearer>();
  readonly accounts = new Map<string, AccountState>();

  constructor(private list: readonly OpenRouterSandboxAccount[]) {
    this.replace(list);
  }

  /** Puts other accounts in place of all there are. */
  replace(list: readonly OpenRouterSandboxAccount[]): void {
    this.list = list;
    this.bearers.clear();
    this.accounts.clear();
    for (const account of list) {
      this.addAccount(account);
    }
  }

  /** Everything as it was at the start. */
  reset(): void {
    this.replace(this.list);
  }

  /** Null for a token that opens nothing, or nothing any more. */
  bearerOf(token: string, now: number): Bearer | null {
    const bearer = this.bearers.get(token);
    if (!bearer || (bearer.kind === 'key' && !isAlive(bearer.key, now))) {
      return null;
    }
    return bearer;
  }

  /** A key by its label or by the last four characters of its secret. */
  findKey(name: string): KeyState | undefined {
    for (const { keys } of this.accounts.values()) {
      const found = keys.find((key) => key.label === name || key.last4 === name);
      if (found) {
        return found;
      }
    }
    return undefined;
  }

  addKey(account: AccountState, key: OpenRouterSandboxKey): KeyState {
    const state: KeyState = {
      account,
      label: key.label,
      secret: key.secret,
      last4: key.secret.slice(-4),
      limitMicros: key.limitMicros ?? null,
      limitReset: key.limitReset ?? null,
      expiresAt: key.expiresAt ?? null,
      isRevoked: false,
      used: { total: 0, daily: 0, weekly: 0, monthly: 0 },
      day: 0,
    };
    account.keys.push(state);
    this.bearers.set(key.secret, { kind: 'key', key: state });
    return state;
  }

  private addAccount({ id, creditMicros, managementKey, keys }: OpenRouterSandboxAccount): void {
    const account: AccountState = {
      id,
      managementKey: managementKey ?? null,
      boughtMicros: creditMicros,
      usedMicros: 0,
      keys: [],
      free: { recent: [], day: 0, today: 0 },
    };
    this.accounts.set(id, account);
    if (managementKey !== undefined) {
      this.bearers.set(managementKey, { kind: MANAGEMENT, account });
    }
    for (const key of keys) {
      this.addKey(account, key);
    }
  }
}

export function creditOf(account: AccountState): number {
  return account.boughtMicros - account.usedMicros;
}

/** Takes a cost off the account's credit and off the key's limit. */
export function charge(key: KeyState, costMicros: number, now: number): void {
  rollOver(key, now);
  key.account.usedMicros += costMicros;
  key.used.total += costMicros;
  key.used.daily += costMicros;
  key.used.weekly += costMicros;
  key.used.monthly += costMicros;
}

/** What is left of the key's own limit; null where it has none. */
export function limitLeftOf(key: KeyState, now: number): number | null {
  if (key.limitMicros === null) {
    return null;
  }
  rollOver(key, now);
  return key.limitMicros - key.used[key.limitReset ?? 'total'];
}

/** What the key used, as of now. */
export function usedOf(key: KeyState, now: number): Readonly<Used> {
  rollOver(key, now);
  return key.used;
}

/** When a limit of that kind begins anew: the next UTC day, Monday or first of a month. */
export function resetAfter(reset: LimitReset, now: number): number {
  const date = new Date(now);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  if (reset === 'monthly') {
    return Date.UTC(year, month + 1, 1);
  }
  // Sunday is 0.
  const days = reset === 'daily' ? 1 : 7 - ((date.getUTCDay() + 6) % 7);
  return Date.UTC(year, month, day + days);
}

function isAlive(key: KeyState, now: number): boolean {
  return !key.isRevoked && (key.expiresAt === null || Date.parse(key.expiresAt) > now);
}

function rollOver(key: KeyState, now: number): void {
  const day = Math.floor(now / DAY_MS);
  if (day === key.day) {
    return;
  }
  key.used.daily = 0;
  if (weekOf(day) !== weekOf(key.day)) {
    key.used.weekly = 0;
  }
  if (monthOf(day) !== monthOf(key.day)) {
    key.used.monthly = 0;
  }
  key.day = day;
}

// The first day of 1970 was a Thursday.
function weekOf(day: number): number {
  return Math.floor((day + 3) / 7);
}

function monthOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 7);
}
