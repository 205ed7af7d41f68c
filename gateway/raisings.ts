import {
  brokenUniqueConstraint,
  isDatabaseUnavailable,
  isTransactionConflict,
} from '../lib/databaseErrors';
import type { PurposeDatabase } from '../models/base';
import { reserveMore, type Raised } from '../models/llm/callReservations';
import { createGroups } from './groups';
import { budgetSpent, unreachable } from './ledgerErrors';
import type { OpenCall } from './types';

type More = Pick<OpenCall, 'callId' | 'estimateMicros'>;

interface Raising {
  readonly call: More;
  readonly until: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** Reserves more for calls that are open, many with each statement. */
export function createRaisings(options: {
  db: PurposeDatabase;
  most: number;
  patienceMs: number;
  isClosed: () => boolean;
  pause: () => Promise<void>;
  /** Whether the call was opened here and has not ended. */
  isUnderWay: (callId: string) => boolean;
  /** Opens again what a crash of the database took back. */
  restore: () => Promise<void>;
  raised: (call: More) => void;
}) {
  const { db, most, patienceMs, isClosed, pause, isUnderWay, restore, raised } = options;
  const raisings = createGroups<Raising>({ most, run: raiseGroup });

  return {
    reserveMore(call: More): Promise<void> {
      return new Promise((resolve, reject) => {
        raisings.add({ call, until: Date.now() + patienceMs, resolve, reject });
      });
    },
    idle: () => raisings.idle(),
  };

  async function raiseGroup(group: readonly Raising[]): Promise<void> {
    try {
      const answers = await reserveMore(
        db,
        group.map(({ call }) => call),
      );
      const isForgotten = group.some(
        ({ call }, index) => answers[index]?.state === 'unknown' && isUnderWay(call.callId),
      );
      if (isForgotten) {
        await restore();
      }
      group.forEach((one, index) => answer(one, answers[index]));
    } catch (error) {
      await raiseAgain(group, error);
    }
  }

  function answer(raising: Raising, answered: Raised | undefined): void {
    const { call, until } = raising;
    switch (answered?.state) {
      case 'opened':
        raised(call);
        raising.resolve();
        return;
      case 'refused':
        raising.reject(budgetSpent(answered.budget, answered.moreMicros));
        return;
      case 'again':
        raisings.add(raising);
        return;
      case 'unknown':
      case undefined:
        if (isUnderWay(call.callId) && Date.now() < until) {
          raisings.add(raising);
        } else {
          raising.reject(new Error('More was to be reserved for a call that is not open'));
        }
    }
  }

  async function raiseAgain(group: readonly Raising[], error: unknown): Promise<void> {
    // A call that was forgotten is opened again by two groups at the same time.
    const isWritten = brokenUniqueConstraint(error) !== null;
    const isPassing = isDatabaseUnavailable(error) || isTransactionConflict(error) || isWritten;
    if (isPassing) {
      await pause();
    }
    for (const one of group) {
      if (isPassing && !isClosed() && Date.now() < one.until) {
        raisings.add(one);
      } else {
        one.reject(isPassing ? unreachable(error) : error);
      }
    }
  }
}
