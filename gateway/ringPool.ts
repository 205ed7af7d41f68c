import { createBreakers } from '../domain/llm/breaker';
import { allowsModel, hashOf, headroomOf } from '../domain/llm/choose';
import { Flow } from '../domain/llm/flow';
import { freeClass, isOver, subjectId, type Health, type HealthEvent } from '../domain/llm/health';
import { applyToPool, type HealthChange } from '../domain/llm/poolHealth';
import type { StoredAccount, StoredKey, StoredPool } from '../models/llm/pools';
import type { LlmCredentials } from '../providers/llm/types';

// A key that failed softly is drawn less for as long: halved every ten seconds.
const softHalfLifeMs = 10_000;
const softWeight = 0.2;
const rememberedModels = 1_000;
// What was halved for a row that is older was halved, or is over.
const freshMs = 60_000;

const nothing: readonly Health[] = [];

export class RingAccount {
  readonly flow = new Flow();
  readonly hash: number;
  keys: RingKeyCell[] = [];
  stored: StoredAccount;
  /** Of its keys together: how conversations are shared out. */
  weight = 0;
  halvedFor = 0;
  readonly id: string;

  constructor(stored: StoredAccount) {
    this.id = stored.id;
    this.hash = hashOf(stored.id);
    this.stored = stored;
  }
}

export class RingKeyCell {
  readonly flow = new Flow();
  readonly id: string;
  stored: StoredKey;
  account: RingAccount;
  /** Null where its secret does not open. */
  credentials: LlmCredentials | null = null;
  headroom = 1;
  /** What holds for it whatever the model: of itself, its workspace, its account. */
  health: readonly Health[] = [];
  private softRate = 0;
  private softAt = 0;
  private allowed = new Map<string, boolean>();

  constructor(stored: StoredKey, account: RingAccount) {
    this.id = stored.id;
    this.stored = stored;
    this.account = account;
  }

  get share(): number {
    return this.stored.weight * this.headroom * (1 - this.softRate);
  }

  store(stored: StoredKey, now: number): void {
    if (String(stored.allowedModels) !== String(this.stored.allowedModels)) {
      this.allowed = new Map();
    }
    this.stored = stored;
    this.flow.most = stored.maxConcurrency;
    this.headroom = headroomOf(stored, now);
  }

  allows(model: string): boolean {
    if (this.stored.allowedModels === null) {
      return true;
    }
    let answer = this.allowed.get(model);
    if (answer === undefined) {
      if (this.allowed.size >= rememberedModels) {
        this.allowed.clear();
      }
      answer = allowsModel(this.stored.allowedModels, model);
      this.allowed.set(model, answer);
    }
    return answer;
  }

  /** An average of its soft failures in which older ones count less and less. */
  noteSoft(isFailure: boolean, now: number): void {
    const kept = this.softRate * 0.5 ** ((now - this.softAt) / softHalfLifeMs);
    // Never all of it: it is to have a chance to do better.
    this.softRate = Math.min(0.9, kept * (1 - softWeight) + (isFailure ? softWeight : 0));
    this.softAt = now;
  }
}

/**
 * A pool as this process knows it: as it was loaded, and what this process learned that is not written
 * yet on top. Counts of calls under way and breakers are of this process alone.
 */
export class RingPool {
  /** Of what was loaded as a whole. */
  version = 0;
  keySource: StoredPool['keySource'] = null;
  accounts = new Map<string, RingAccount>();
  keys = new Map<string, RingKeyCell>();
  /** All that is not well, by subject. */
  health = new Map<string, Health>();
  models = new Map<string, Health>();
  /** Of an account at a model or at the free ones, by `account model`. */
  accountModels = new Map<string, Health>();
  platform: Health | null = null;
  isAnyCooling = false;
  readonly flow = new Flow();
  readonly breakers = createBreakers();
  /** Until when a trial of a subject is under way, by subject. */
  readonly trials = new Map<string, number>();
  /** Failures to reach an address, since the last answer from there. */
  readonly unreached = new Map<string, { failures: number; since: number }>();
  private stored = new Map<string, Health>();
  /** Of what is known of its health, which may be later. */
  private healthVersion = 0;
  private halvedFor = 0;

  constructor(
    readonly id: string,
    private readonly unwritten: () => readonly HealthEvent[],
  ) {}

  /** Takes a pool as it was loaded, unless something later is known, or seems to be. */
  load(
    pool: StoredPool,
    {
      open,
      now,
      isCertain,
    }: { open: (key: StoredKey) => string | null; now: number; isCertain: boolean },
  ): boolean {
    if (pool.version < this.healthVersion && !isCertain) {
      return false;
    }
    this.version = pool.version;
    this.healthVersion = pool.version;
    this.keySource = pool.keySource;
    this.accounts = new Map(
      pool.accounts.map((stored) => {
        const account = this.accounts.get(stored.id) ?? new RingAccount(stored);
        account.stored = stored;
        account.flow.most = stored.maxConcurrency;
        account.keys = [];
        account.weight = 0;
        return [stored.id, account];
      }),
    );
    this.keys = new Map(
      pool.keys.flatMap((stored) => {
        const account = this.accounts.get(stored.accountId);
        return account === undefined ? [] : [[stored.id, this.cellOf(stored, account, open, now)]];
      }),
    );
    this.stored = byId(pool.health);
    this.show(now);
    return true;
  }

  /** Takes what was written of what this process learned, and what others had written before. */
  written(version: number, health: readonly Health[], now: number): void {
    if (version >= this.healthVersion) {
      this.healthVersion = version;
      this.stored = byId(health);
    }
    this.show(now);
  }

  /** Applies what this process learned, at once. */
  apply(event: HealthEvent): HealthChange[] {
    const changes = applyToPool(this.health, event, { keyIds: new Set(this.keys.keys()) });
    if (changes.length > 0) {
      this.spreadOut(event.at);
    }
    return changes;
  }

  /** What holds on the way of a call, besides what holds for its key whatever the model. */
  onTheWay(account: RingAccount, model: string): readonly Health[] {
    const ofModel = this.models.get(model);
    if (this.platform === null && ofModel === undefined && this.accountModels.size === 0) {
      return nothing;
    }
    const free = model.endsWith(freeClass) ? `${account.id} ${freeClass}` : '';
    return [
      this.platform,
      ofModel,
      this.accountModels.get(`${account.id} ${model}`),
      this.accountModels.get(free),
    ].filter((health) => health != null);
  }

  /** Whether one call is finding out already if it is well again. */
  isTried(health: Health, now: number): boolean {
    const until = this.trials.get(subjectId(health.subject));
    return until !== undefined && until > now;
  }

  private cellOf(
    stored: StoredKey,
    account: RingAccount,
    open: (key: StoredKey) => string | null,
    now: number,
  ): RingKeyCell {
    const known = this.keys.get(stored.id);
    const cell = known ?? new RingKeyCell(stored, account);
    const baseUrl = account.stored.baseUrl.replace(/\/+$/, '');
    const opened = known?.stored.secret === stored.secret ? known.credentials?.apiKey : undefined;
    const apiKey = opened ?? open(stored);
    cell.credentials = apiKey === null ? null : { baseUrl, apiKey };
    cell.account = account;
    cell.store(stored, now);
    account.keys.push(cell);
    account.weight += stored.weight;
    return cell;
  }

  // What was loaded with what is not written yet on top, as it will be when it is.
  private show(now: number): void {
    this.health = new Map(this.stored);
    const keyIds = new Set(this.keys.keys());
    for (const event of this.unwritten()) {
      applyToPool(this.health, event, { keyIds });
    }
    this.spreadOut(now);
  }

  private spreadOut(now: number): void {
    this.models = new Map();
    this.accountModels = new Map();
    this.platform = null;
    this.isAnyCooling = false;
    const ofAccounts = new Map<string, Health>();
    const ofKeys = new Map<string, Health>();
    const ofWorkspaces = new Map<string, Health>();
    for (const health of this.health.values()) {
      const { scope, accountId, keyId, model } = health.subject;
      if (isOver(health, now)) {
        continue;
      }
      if (scope === 'platform') {
        this.platform = health;
      } else if (scope === 'model' && model !== null) {
        this.models.set(model, health);
      } else if (scope === 'accountModel') {
        this.accountModels.set(`${accountId} ${model}`, health);
      } else if (scope === 'account' && accountId !== null) {
        ofAccounts.set(accountId, health);
      } else if (keyId !== null) {
        ofKeys.set(keyId, health);
        const workspace = this.keys.get(keyId)?.stored.workspace ?? null;
        if (workspace !== null && isVendorsBudget(health)) {
          ofWorkspaces.set(`${accountId} ${workspace}`, health);
        }
      }
      this.isAnyCooling ||= health.state === 'cooling' && scope !== 'model';
    }
    for (const cell of this.keys.values()) {
      const { workspace } = cell.stored;
      const found = [
        ofAccounts.get(cell.account.id),
        ofKeys.get(cell.id),
        workspace === null ? undefined : ofWorkspaces.get(`${cell.account.id} ${workspace}`),
      ];
      cell.health = [...new Set(found.filter((health) => health !== undefined))];
    }
    this.halveAfter(ofAccounts, now);
  }

  // Each process lowers what it does itself, whoever of them was told.
  private halveAfter(ofAccounts: ReadonlyMap<string, Health>, now: number): void {
    for (const [accountId, { reason, updatedAt }] of ofAccounts) {
      const account = this.accounts.get(accountId);
      if (account !== undefined && reason === 'inFlightBudget' && updatedAt > account.halvedFor) {
        account.halvedFor = updatedAt;
        if (updatedAt > now - freshMs) {
          account.flow.halve();
        }
      }
    }
    if (this.platform?.reason === 'edgeRateLimit' && this.platform.updatedAt > this.halvedFor) {
      this.halvedFor = this.platform.updatedAt;
      if (this.platform.updatedAt > now - freshMs) {
        this.flow.halve();
      }
    }
  }
}

// A budget of our own, which nobody answered with a status, is of one key.
function isVendorsBudget({ reason, evidence }: Health): boolean {
  return reason === 'budgetSpent' && evidence.status != null;
}

function byId(rows: readonly Health[]): Map<string, Health> {
  return new Map(rows.map((health) => [subjectId(health.subject), health]));
}
