import { setTimeout as wait } from 'node:timers/promises';
import { apiKeyOf, type SealedAccount } from '../../tests/support/sealedAccounts';

export interface TrafficFigures {
  /** Tests of connections whose vendor accepted what was opened. */
  opens: number;
  unreadable: number;
  changes: number;
  failures: string[];
}

export interface Traffic {
  readonly figures: TrafficFigures;
  /** How often the credentials of an account were changed, as far as the API has said so. */
  changesOf(account: SealedAccount): number;
  /** How many accounts were changed at least once. */
  changedAccounts(): number;
  /** How many requests this process has not answered yet. */
  underWay(url: string): number;
  /** Resolves when every request has its answer. */
  stop(): Promise<void>;
}

export interface TrafficOptions {
  /** The API processes that run now. */
  urls: () => readonly string[];
  /** Sorted by their ids. */
  accounts: readonly SealedAccount[];
  tokens: ReadonlyMap<string, string>;
  requestsPerSecond: number;
  /** How many accounts resealing has behind it: half of the changes are made just before it. */
  frontier: () => number;
}

const lanes = 4;
// So many accounts resealing has in its hands, or will have in a moment.
const nearby = 1_000;

/**
 * Changes credentials of accounts through the API and has their connections tested, which opens
 * them. Each lane has accounts of its own, so that it knows what each was changed to last.
 */
export function startTraffic(options: TrafficOptions): Traffic {
  const figures: TrafficFigures = { opens: 0, unreadable: 0, changes: 0, failures: [] };
  const changes = new Map<string, number>();
  const underWay = new Map<string, number>();
  let isWanted = true;
  const running = Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)));
  running.catch(() => undefined);
  return {
    figures,
    changesOf: ({ id }) => changes.get(id) ?? 0,
    changedAccounts: () => changes.size,
    underWay: (url) => underWay.get(url) ?? 0,
    async stop() {
      isWanted = false;
      await running;
    },
  };

  async function work(lane: number): Promise<void> {
    for (let n = 0; isWanted; n += 1) {
      const account = pick(lane, n % 2 === 0);
      if (account !== undefined && options.urls().length > 0) {
        await change(n + lane, account);
        await test(n + lane + 1, account);
      }
      await wait((2 * lanes * 1_000) / options.requestsPerSecond);
    }
  }

  function pick(lane: number, isNearby: boolean): SealedAccount | undefined {
    const { accounts } = options;
    const from = isNearby ? Math.min(options.frontier(), accounts.length - lanes) : 0;
    const span = isNearby ? Math.min(nearby, accounts.length - from) : accounts.length;
    const at = from + Math.floor(Math.random() * span);
    return accounts[at - (at % lanes) + lane];
  }

  async function change(n: number, account: SealedAccount): Promise<void> {
    const next = (changes.get(account.id) ?? 0) + 1;
    const answer = await ask(n, account, 'PATCH', '', {
      credentials: { apiKey: apiKeyOf(account, next) },
    });
    if (answer.status === 200) {
      changes.set(account.id, next);
      figures.changes += 1;
    } else {
      figures.failures.push(`a change was answered ${answer.status}: ${answer.text}`);
    }
  }

  async function test(n: number, account: SealedAccount): Promise<void> {
    const answer = await ask(n, account, 'POST', '/test');
    if (answer.status === 200 && answer.text.includes('"outcome":"accepted"')) {
      figures.opens += 1;
    } else if (answer.text.includes('credentialsUnreadable')) {
      figures.unreadable += 1;
    } else {
      figures.failures.push(`a test was answered ${answer.status}: ${answer.text}`);
    }
  }

  async function ask(
    n: number,
    { id, tenantId }: SealedAccount,
    method: string,
    path: string,
    json?: unknown,
  ): Promise<{ status: number; text: string }> {
    const urls = options.urls();
    const url = urls[n % urls.length] ?? '';
    underWay.set(url, (underWay.get(url) ?? 0) + 1);
    try {
      const response = await fetch(`${url}/api/v1/provider-accounts/${id}${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${options.tokens.get(tenantId)}`,
          ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      return { status: 0, text: error instanceof Error ? error.message : String(error) };
    } finally {
      underWay.set(url, (underWay.get(url) ?? 1) - 1);
    }
  }
}
