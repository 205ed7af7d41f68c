import { ApplicationFailure, Context } from '@temporalio/activity';
import { SealingError, type Sealing, type SealingFailure } from '../../lib/sealing';
import { acrossTenants } from '../../models/base';
import {
  countSealed,
  listSealedOtherwise,
  newestKey,
  replaceSealed,
  type ResealedRow,
} from '../../models/identity/resealing';
import {
  sealedColumnNames,
  sealedPlace,
  type SealedColumnName,
} from '../../models/identity/sealedPlaces';
import type { ActivityDeps } from '../deps';

/** The row that was looked at last; the first of its column comes next where `after` is null. */
export interface ResealingPosition {
  name: SealedColumnName;
  after: string[] | null;
}

/** A value that does not open. The row stays as it is. */
export interface UnreadableValue {
  table: string;
  id: string;
  failure: SealingFailure;
}

export interface ResealedSlice {
  /** Where the next slice goes on; null when the last column was walked through. */
  next: ResealingPosition | null;
  resealed: number;
  unreadable: number;
  /** The first of them. */
  unreadableValues: UnreadableValue[];
  /** A key that was introduced after this one: its own resealing does the rest. */
  supersededBy: string | null;
}

const sliceMs = 3_000;
const batchSize = 500;
const mostNamed = 50;

/** Opens and seals again for some seconds, row by row in the order of the keys. */
export function createResealSlice({ db, sealing, logger }: ActivityDeps) {
  /**
   * Safe to repeat: an envelope of the wanted key is not looked at again, and one is replaced only
   * while it is the one that was opened. What a lost attempt did is not in the counts of the next.
   */
  return async function resealSlice(order: {
    keyId: string;
    from: ResealingPosition | null;
  }): Promise<ResealedSlice> {
    const context = Context.current();
    const wanted = sealing.sealingWith(order.keyId);
    if (wanted === null) {
      throw ApplicationFailure.retryable(
        `This worker does not have the sealing key "${order.keyId}": SEALING_KEYS of every process needs it.`,
        'SealingKeyMissing',
      );
    }
    const begun: ResealedSlice | undefined = context.info.heartbeatDetails;
    const slice: ResealedSlice = begun ?? {
      next: order.from ?? firstPosition(),
      resealed: 0,
      unreadable: 0,
      unreadableValues: [],
      supersededBy: null,
    };
    const endsAtMs = Date.now() + sliceMs;
    while (slice.next !== null && slice.supersededBy === null && Date.now() < endsAtMs) {
      context.cancellationSignal.throwIfAborted();
      await resealBatch(slice, slice.next, wanted);
      context.heartbeat(slice);
    }
    return slice;
  };

  async function resealBatch(
    slice: ResealedSlice,
    { name, after }: ResealingPosition,
    wanted: Sealing,
  ): Promise<void> {
    const page = { keyId: wanted.keyId, after, limit: batchSize };
    const { newest, rows } = await acrossTenants(db, 'resealing', async (trx) => ({
      newest: await newestKey(trx),
      rows: await listSealedOtherwise(trx, name, page),
    }));
    if (newest !== null && newest !== wanted.keyId) {
      slice.supersededBy = newest;
      return;
    }
    const changes: ResealedRow[] = [];
    for (const { key, tenantId, sealed } of rows) {
      const place = sealedPlace(name, { key, tenantId });
      try {
        changes.push({ key, from: sealed, to: wanted.seal(wanted.open(sealed, place), place) });
      } catch (error) {
        if (!(error instanceof SealingError)) {
          throw error;
        }
        noteUnreadable(slice, {
          table: place.table,
          id: place.rowId,
          failure: error.failure,
        });
      }
    }
    if (changes.length > 0) {
      slice.resealed += await acrossTenants(db, 'resealing', (trx) =>
        replaceSealed(trx, name, changes),
      );
    }
    const last = rows.at(-1);
    slice.next =
      last === undefined || rows.length < batchSize
        ? positionAfter(name)
        : { name, after: last.key };
  }

  function noteUnreadable(slice: ResealedSlice, value: UnreadableValue): void {
    slice.unreadable += 1;
    if (slice.unreadableValues.length < mostNamed) {
      slice.unreadableValues.push(value);
    }
    logger.error(value, 'a sealed value does not open');
  }
}

/** How many values are sealed with another key than this one. */
export function createCountSealedOtherwise({ db }: Pick<ActivityDeps, 'db'>) {
  return async function countSealedOtherwise(keyId: string): Promise<number> {
    const counts = await acrossTenants(db, 'resealing', countSealed);
    return counts
      .filter((count) => count.keyId !== keyId)
      .reduce((sum, { values }) => sum + values, 0);
  };
}

function firstPosition(): ResealingPosition | null {
  const [name] = sealedColumnNames;
  return name === undefined ? null : { name, after: null };
}

function positionAfter(name: SealedColumnName): ResealingPosition | null {
  const next = sealedColumnNames[sealedColumnNames.indexOf(name) + 1];
  return next === undefined ? null : { name: next, after: null };
}
