import { setTimeout as sleep } from 'node:timers/promises';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import type { Logger } from '../lib/logger';
import type { Temporal } from '../lib/temporal';
import type { keyring } from '../workflows/llm/keyring';
import {
  drainAccountUpdate,
  drainKeyUpdate,
  keyringWorkflowId,
  keyStateChangedSignal,
  pauseAccountUpdate,
  pauseKeyUpdate,
  probeAccountUpdate,
  probeKeyUpdate,
  replaceKeyUpdate,
  resumeAccountUpdate,
  resumeKeyUpdate,
  revokeKeyUpdate,
  rotateKeyUpdate,
  wantedSignal,
  type AccountWord,
  type KeyringInput,
  type KeyWord,
  type ReplaceWord,
} from '../workflows/llm/messages';
import { queues } from '../workflows/queues';
import { searchAttributes } from '../workflows/searchAttributes';
import { summary } from '../workflows/summary';

/** An account that has a keyring. */
export interface KeyringAccount {
  accountId: string;
  tenantId: string | null;
  /** What people call it, and how many keys it has, for operators. */
  name: string;
  keys: number;
}

/** What people do to a key. */
export type KeySteering = keyof typeof keyUpdates;

/** What they do to an account with all its keys. */
export type AccountSteering = keyof typeof accountUpdates;

const keyUpdates = {
  pause: pauseKeyUpdate,
  resume: resumeKeyUpdate,
  drain: drainKeyUpdate,
  revoke: revokeKeyUpdate,
  probe: probeKeyUpdate,
  rotate: rotateKeyUpdate,
  replace: replaceKeyUpdate,
} as const;

const accountUpdates = {
  pause: pauseAccountUpdate,
  resume: resumeAccountUpdate,
  drain: drainAccountUpdate,
  probe: probeAccountUpdate,
} as const;

const signals = { stateChanged: keyStateChangedSignal, wanted: wantedSignal } as const;

/** Starts and steers keyrings; the records are always written before. */
export interface Keyrings {
  /**
   * Starts the keyrings of accounts that have none. Rejects with the first that could not be started,
   * once all others are, or when it is not that one's fault.
   */
  ensure(accounts: readonly KeyringAccount[]): Promise<void>;
  /**
   * Tells keyrings that a process wrote how their keys stand. Never throws and is not waited for: what
   * cannot be told now is told again for a while, once for each account. A keyring that is missing is
   * started within seconds by the reconciler and looks then; every one looks by itself within minutes.
   */
  stateChanged(accountIds: readonly string[]): void;
  /** The same: somebody asked for a key of a pool none of whose accounts could serve. */
  wanted(accountIds: readonly string[]): void;
  /**
   * Resolves when the keyring has taken up what a person said, or is at it where that takes longer: a
   * vendor may be slow to answer. Rejects when no worker or server answers in time: what was written
   * holds all the same.
   */
  steer(
    kind: KeySteering,
    account: KeyringAccount,
    word: KeyWord | ReplaceWord,
  ): Promise<'done' | 'underWay'>;
  /** The same of a word on the whole account. */
  steerAccount(
    kind: AccountSteering,
    account: KeyringAccount,
    word: AccountWord,
  ): Promise<'done' | 'underWay'>;
  /** Ends what `tell` has begun. */
  close(): Promise<void>;
}

export interface KeyringDeadlines {
  startMs?: number;
  steerMs?: number;
  /** Between two signals of one kind to one account, however often it is told. */
  tellEveryMs?: number;
  wantedEveryMs?: number;
  /** For how long what could not be told is kept. */
  keptForMs?: number;
}

// One more would hold no news that the others do not.
const mostKept = 1_000;
const atOnce = 10;

/** Keyrings behind a client. */
export function createKeyrings(
  { client }: Pick<Temporal, 'client'>,
  logger: Pick<Logger, 'warn'>,
  deadlines: KeyringDeadlines = {},
): Keyrings {
  const { startMs = 5_000, steerMs = 10_000, keptForMs = 60_000 } = deadlines;
  const { tellEveryMs = 500, wantedEveryMs = 3_000 } = deadlines;
  const waiting = new Map<string, Waiting>();
  const wantedAt = new Map<string, number>();
  const closing = new AbortController();
  let telling: Promise<void> | null = null;

  const within = <T>(ms: number, work: () => Promise<T>) =>
    client.withDeadline(Date.now() + ms, work);

  return {
    async ensure(accounts) {
      const failures: PromiseRejectedResult[] = [];
      for (let from = 0; from < accounts.length; from += atOnce) {
        const slice = accounts.slice(from, from + atOnce);
        const started = await Promise.allSettled(
          slice.map((account) => within(startMs, () => start(account))),
        );
        const failed = started.filter((one) => one.status === 'rejected');
        failures.push(...failed);
        if (failed.length === slice.length) {
          // The server is away: the others would only wait for it.
          break;
        }
      }
      const [failure] = failures;
      if (failure !== undefined) {
        throw failure.reason;
      }
    },

    stateChanged: (accountIds) => tell(accountIds, 'stateChanged'),

    wanted: (accountIds) => tell(accountIds.filter(isWantedAnew), 'wanted'),

    steer: (kind, account, word) => say(account, keyUpdates[kind].name, word),

    steerAccount: (kind, account, word) => say(account, accountUpdates[kind].name, word),

    async close() {
      closing.abort();
      await telling;
    },
  };

  function say(account: KeyringAccount, update: string, word: AccountWord) {
    return within(steerMs, async () => {
      await start(account);
      const handle = client.workflow.getHandle<typeof keyring>(
        keyringWorkflowId(account.accountId),
      );
      const accepted = await handle.startUpdate<unknown, [AccountWord]>(update, {
        args: [word],
        waitForStage: 'ACCEPTED',
      });
      try {
        await accepted.result();
        return 'done' as const;
      } catch (error) {
        if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
          return 'underWay' as const;
        }
        throw error;
      }
    });
  }

  function tell(accountIds: readonly string[], news: keyof typeof signals): void {
    for (const accountId of accountIds) {
      const id = `${news} ${accountId}`;
      if (!waiting.has(id) && waiting.size < mostKept) {
        waiting.set(id, { accountId, news, since: Date.now() });
      }
    }
    telling ??= tellAll().finally(() => {
      telling = null;
    });
  }

  // What comes while others are told goes with the next round, however often it comes.
  async function tellAll(): Promise<void> {
    let hasFailed = false;
    while (waiting.size > 0 && !closing.signal.aborted) {
      const round = [...waiting];
      waiting.clear();
      for (let from = 0; from < round.length && !closing.signal.aborted; from += atOnce) {
        const slice = round.slice(from, from + atOnce);
        const told = await Promise.allSettled(slice.map(([, one]) => signal(one)));
        const failed = slice.filter((_, index) => told[index]?.status === 'rejected');
        for (const [id, one] of failed) {
          if (!waiting.has(id) && Date.now() - one.since < keptForMs) {
            waiting.set(id, one);
          }
        }
        const failure = told.find((one) => one.status === 'rejected');
        if (failure !== undefined && !hasFailed) {
          logger.warn({ err: failure.reason }, 'keyrings not told yet');
        }
        hasFailed = failure !== undefined;
      }
      await pause(hasFailed ? tellEveryMs * 8 : tellEveryMs);
    }
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);
  }

  // It holds for a while at the other end.
  function isWantedAnew(accountId: string): boolean {
    const now = Date.now();
    if (now - (wantedAt.get(accountId) ?? 0) < wantedEveryMs) {
      return false;
    }
    wantedAt.delete(accountId);
    wantedAt.set(accountId, now);
    const [oldest] = wantedAt.keys();
    if (wantedAt.size > mostKept && oldest !== undefined) {
      wantedAt.delete(oldest);
    }
    return true;
  }

  async function signal({ accountId, news }: Waiting): Promise<void> {
    const handle = client.workflow.getHandle(keyringWorkflowId(accountId));
    try {
      await within(startMs, () => handle.signal(signals[news]));
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) {
        throw error;
      }
    }
  }

  async function start(account: KeyringAccount): Promise<void> {
    try {
      await client.workflow.start<typeof keyring>('keyring', {
        ...optionsOf(account),
        workflowIdConflictPolicy: 'FAIL',
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
  }
}

interface Waiting {
  accountId: string;
  news: keyof typeof signals;
  since: number;
}

function optionsOf({ accountId, tenantId, name, keys }: KeyringAccount) {
  const args: [KeyringInput] = [{ accountId, tenantId }];
  const count = `${keys} ${keys === 1 ? 'key' : 'keys'}`;
  return {
    workflowId: keyringWorkflowId(accountId),
    taskQueue: queues.workflows,
    args,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
    staticSummary: summary(`Key ring of account ${name} (${count})`),
    typedSearchAttributes: [
      ...(tenantId === null ? [] : [{ key: searchAttributes.tenant, value: tenantId }]),
      { key: searchAttributes.kind, value: 'keyring' },
      { key: searchAttributes.status, value: 'active' },
    ],
  };
}
