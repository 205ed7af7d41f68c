import { setTimeout as sleep } from 'node:timers/promises';
import { resetsAt } from '../domain/llm/budgets';
import { platformPool } from '../domain/llm/types';
import {
  isDatabaseUnavailable,
  isRefusedValue,
  isTransactionConflict,
  brokenUniqueConstraint,
} from '../lib/databaseErrors';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import type { Sealing } from '../lib/sealing';
import { createCallDatabase, openCalls, type Opened } from '../models/llm/callReservations';
import { settleCalls, type CallAttempt, type EndedCall, type SpentKey } from '../models/llm/calls';
import { keepPrompts, type CallWords } from '../models/llm/prompts';
import { createGroups } from './groups';
import { budgetSpent, unreachable } from './ledgerErrors';
import { createRaisings } from './raisings';
import type { CallLedger, OpenCall, SettledCall } from './types';

/** A key whose own budget is spent, and until when. */
export interface SpentKeyOfPool {
  readonly keyId: string;
  readonly accountId: string;
  readonly poolId: string;
  readonly resetsAt: number;
}

const mostOfGroup = 256;
// A caller who waits for a database that is away has better things to do.
const openPatienceMs = 3_000;
const retryAfterMs = 50;
const longestRetryMs = 2_000;
// As many calls as are settled in a minute or so; what is dropped is settled by its estimate.
const mostUnsettled = 50_000;
const mostPrompts = 1_000;
// Settling takes the database some milliseconds, and at its end the counters that calls are opened
// under: so it is done for many, and seldom enough that hardly one call in twenty meets it.
const settleGatherMs = 100;
const closePatienceMs = 5_000;
// Postgres writes what did not wait for the disk within three times its wal_writer_delay of 200 ms.
const safeAfterMs = 5_000;

interface Opening {
  readonly call: OpenCall;
  readonly until: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Reserves and records what calls cost, many with each statement. `spentKey` is told when what a key
 * itself may cost is spent, at each call of it that is settled: the caller benches it. `now` tells in
 * which day a call falls; the database's clock does unless a test replaces it.
 */
export function createCallLedger({
  db,
  sealing,
  logger,
  spentKey,
  now,
}: {
  db: Knex;
  sealing: Sealing;
  logger: Pick<Logger, 'warn' | 'error'>;
  spentKey?: (key: SpentKeyOfPool) => void;
  now?: () => Date;
}): CallLedger {
  const callDb = createCallDatabase(db);
  let isClosed = false;
  // Those that were opened here and that a crash of the database may forget, or their end.
  const unsafe = new Map<string, UnsafeCall>();
  let purgedAt = 0;
  let witnesses: { opened: string | null; settled: string | null } = {
    opened: null,
    settled: null,
  };
  const closing = new AbortController();

  const openings = createGroups<Opening>({ most: mostOfGroup, run: openGroup });
  const settlings = createGroups<EndedOfPool>({
    most: mostOfGroup,
    run: settleGroup,
    gatherMs: settleGatherMs,
  });
  const raisings = createRaisings({
    db: callDb,
    most: mostOfGroup,
    patienceMs: openPatienceMs,
    isClosed: () => isClosed,
    pause: () => pause(retryAfterMs),
    isUnderWay: (callId) => unsafe.get(callId)?.end === null,
    restore,
    raised({ callId, estimateMicros }) {
      const known = unsafe.get(callId);
      if (known !== undefined) {
        unsafe.set(callId, { ...known, call: { ...known.call, estimateMicros } });
      }
    },
  });
  const prompts = createGroups<CallWords>({ most: 32, run: keepGroup });

  return {
    open(call) {
      return new Promise((resolve, reject) => {
        const until = Math.min(Date.now() + openPatienceMs, call.expiresAt.getTime());
        openings.add({ call, until, resolve, reject });
      });
    },

    reserveMore: (call) => raisings.reserveMore(call),

    settle(call) {
      settle(endedOf(call));
    },

    keepPrompt(prompt) {
      if (prompts.size() >= mostPrompts) {
        logger.warn({ callId: prompt.callId }, 'words of a call are not kept: too many wait');
        return;
      }
      prompts.add(prompt);
    },

    flush,

    async close() {
      const timer = setTimeout(() => {
        isClosed = true;
        closing.abort();
      }, closePatienceMs);
      await flush();
      clearTimeout(timer);
      isClosed = true;
      closing.abort();
      await callDb.close();
    },
  };

  async function flush(): Promise<void> {
    await Promise.all([openings.idle(), raisings.idle()]);
    await Promise.all([settlings.idle(), prompts.idle()]);
  }

  function settle(call: EndedOfPool): void {
    if (settlings.size() >= mostUnsettled) {
      logger.error({ callId: call.callId }, 'a call is not recorded: too many wait');
      return;
    }
    settlings.add(call);
  }

  async function openGroup(group: readonly Opening[]): Promise<void> {
    try {
      const answers = await openCalls(callDb, group.map(newCallOf), {
        at: now?.() ?? null,
        witnesses,
      });
      if (answers.some(({ state }) => state === 'forgotten')) {
        await restore();
      }
      group.forEach((one, index) => answer(one, answers[index]));
    } catch (error) {
      await openAgain(group, error);
    }
  }

  function answer(opening: Opening, opened: Opened | undefined): void {
    switch (opened?.state) {
      case 'opened':
        witnesses = { ...witnesses, opened: opening.call.callId };
        unsafe.set(opening.call.callId, { call: opening.call, end: null });
        opening.resolve();
        return;
      case 'refused':
        opening.reject(budgetSpent(opened.budget, opening.call.estimateMicros));
        return;
      case 'again':
      case 'forgotten':
        openings.add(opening);
        return;
      case undefined:
        opening.reject(new Error('A call was opened without an answer'));
    }
  }

  // What the database has lost is opened again, whatever there is room for: it is being made. What
  // had ended is settled again; where it still is settled, that changes nothing.
  async function restore(): Promise<void> {
    const calls = [...unsafe.values()];
    witnesses = { opened: null, settled: null };
    for (let first = 0; first < calls.length; first += mostOfGroup) {
      await openCalls(callDb, calls.slice(first, first + mostOfGroup).map(newCallOf), {
        at: now?.() ?? null,
        isForced: true,
      });
    }
    for (const { end } of calls) {
      if (end !== null) {
        settlings.add(end.ended);
      }
    }
  }

  async function openAgain(group: readonly Opening[], error: unknown): Promise<void> {
    // The row of an attempt whose answer was lost: it is found there when it is looked for again.
    const isWritten = brokenUniqueConstraint(error) !== null;
    const [only] = group;
    if (isRefusedValue(error) && group.length > 1) {
      // One of them cannot be written: it alone is to fail.
      for (const one of group) {
        await openGroup([one]);
      }
      return;
    }
    if (isRefusedValue(error) && !isWritten) {
      only?.reject(error);
      return;
    }
    const isPassing = isDatabaseUnavailable(error) || isTransactionConflict(error) || isWritten;
    if (isDatabaseUnavailable(error)) {
      await pause(retryAfterMs);
    }
    for (const one of group) {
      if (isPassing && !isClosed && Date.now() < one.until) {
        openings.add(one);
      } else {
        giveUp(one, isPassing ? unreachable(error) : error);
      }
    }
  }

  // Nobody will call, so that what may have been reserved is given back.
  function giveUp(opening: Opening, error: unknown): void {
    settle(unmade(opening.call.callId));
    opening.reject(error);
  }

  async function settleGroup(group: readonly EndedOfPool[]): Promise<void> {
    const calls = new Map(group.map((call) => [call.callId, call]));
    if (isClosed) {
      logger.error({ calls: calls.size }, 'calls are not recorded: the ledger is closed');
      return;
    }
    for (let wait = retryAfterMs; ; wait = Math.min(wait * 2, longestRetryMs)) {
      try {
        await settleKnown([...calls.values()]);
        return;
      } catch (error) {
        // Opened again by another group at the same time, a forgotten call is there now.
        const isWritten = brokenUniqueConstraint(error) !== null;
        if (isRefusedValue(error) && !isWritten) {
          await settleOneByOne(group, error);
          return;
        }
        const isPassing = isDatabaseUnavailable(error) || isTransactionConflict(error) || isWritten;
        if (isClosed || !isPassing) {
          logger.error({ err: error, calls: calls.size }, 'calls are not recorded');
          return;
        }
        await pause(wait);
      }
    }
  }

  async function settleKnown(calls: readonly EndedOfPool[]): Promise<void> {
    const { spent, unknownIds } = await settleCalls(callDb, calls);
    const unknown = new Set(unknownIds);
    if (unknownIds.some((id) => unsafe.has(id))) {
      await restore();
      const again = calls.filter(({ callId }) => unknown.has(callId));
      tellSpent(again, (await settleCalls(callDb, again)).spent);
    }
    noteEnds(calls);
    tellSpent(calls, spent);
  }

  function noteEnds(calls: readonly EndedOfPool[]): void {
    const at = Date.now();
    for (const ended of calls) {
      const known = unsafe.get(ended.callId);
      if (known !== undefined) {
        unsafe.set(ended.callId, { ...known, end: { ended, at } });
        witnesses = { ...witnesses, settled: ended.callId };
      }
    }
    if (at > purgedAt + 1_000) {
      purgedAt = at;
      purge(at - safeAfterMs);
    }
  }

  function purge(before: number): void {
    for (const [id, { call, end }] of unsafe) {
      if ((end?.at ?? call.expiresAt.getTime()) < before) {
        unsafe.delete(id);
      }
    }
  }

  async function settleOneByOne(group: readonly EndedOfPool[], error: unknown): Promise<void> {
    const [only] = group;
    if (group.length === 1 && only !== undefined) {
      unsafe.delete(only.callId);
      logger.error({ err: error, callId: only.callId }, 'a call cannot be recorded');
      return;
    }
    for (const one of group) {
      await settleGroup([one]);
    }
  }

  function tellSpent(calls: readonly EndedOfPool[], spent: readonly SpentKey[]): void {
    for (const key of spent) {
      const by = calls
        .flatMap((call) => [call, ...call.attempts])
        .find(({ keyId }) => keyId === key.keyId);
      if (by?.accountId != null && by.poolId !== null) {
        spentKey?.({
          keyId: key.keyId,
          accountId: by.accountId,
          poolId: by.poolId,
          resetsAt: resetsAt(key).getTime(),
        });
      }
    }
  }

  async function keepGroup(group: readonly CallWords[]): Promise<void> {
    try {
      await keepPrompts(db, sealing, group);
    } catch (error) {
      logger.error({ err: error, calls: group.length }, 'words of calls are not kept');
    }
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: closing.signal }).catch(() => undefined);
  }
}

function newCallOf({ call }: Pick<Opening, 'call'>) {
  return { ...call, ...call.asker };
}

/** A call that may have to be opened, and settled, again. */
interface UnsafeCall {
  readonly call: OpenCall;
  readonly end: { readonly ended: EndedOfPool; readonly at: number } | null;
}

interface EndedOfPool extends EndedCall {
  readonly poolId: string | null;
  readonly attempts: readonly (CallAttempt & { readonly poolId: string })[];
}

function endedOf(call: SettledCall): EndedOfPool {
  return {
    ...call,
    isOfPlatform: call.poolId === platformPool,
    attempts: call.attempts.map((attempt) => ({
      ...attempt,
      isOfPlatform: attempt.poolId === platformPool,
    })),
  };
}

function unmade(callId: string): EndedOfPool {
  return {
    callId,
    outcome: 'cancelled',
    failureKind: 'cancelled',
    model: null,
    keyId: null,
    accountId: null,
    poolId: null,
    isOfPlatform: false,
    usage: null,
    costMicros: 0,
    costSource: 'none',
    firstTokenMs: null,
    totalMs: null,
    attempts: [],
  };
}
