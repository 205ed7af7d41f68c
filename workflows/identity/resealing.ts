import { continueAsNew, setCurrentDetails, sleep } from '@temporalio/workflow';
import type {
  ResealedSlice,
  ResealingPosition,
  UnreadableValue,
} from '../../activities/identity/reseal';
import { count, thousands } from '../campaigns/words';
import { records, resealingWork } from '../proxies';

/** Brings all sealed values under one key: one at a time for each key. */
export function resealingWorkflowId(keyId: string): string {
  return `resealing/${keyId}`;
}

export interface ResealingInput {
  keyId: string;
  /** What the history before this one did. */
  carried?: Progress;
}

/** How it ended. */
export interface Resealed {
  keyId: string;
  resealed: number;
  /** Values that open and that others sealed with an older key until the end; null: not counted. */
  leftOver: number | null;
  unreadable: number;
  /** The first of them. */
  unreadableValues: UnreadableValue[];
  /** A key that was introduced meanwhile, whose own resealing does the rest. */
  supersededBy: string | null;
}

interface Progress {
  /** How many values there were to seal again when it began. */
  values: number;
  resealed: number;
  pass: number;
  /** Within the pass. */
  from: ResealingPosition | null;
  unreadable: number;
  unreadableValues: UnreadableValue[];
}

const slicesBeforeNewHistory = 300;
// Between passes whoever held a row has gone on; processes that still seal with the old key are not
// waited for longer than this: the next worker that starts, or an operator, begins anew.
const passes = 10;
const betweenPasses = '2s';
const mostNamed = 50;

/** Seals every value again that another key sealed, pass by pass until none is left that opens. */
export async function resealing({ keyId, carried }: ResealingInput): Promise<Resealed> {
  const progress: Progress = carried ?? {
    values: await records.countSealedOtherwise(keyId),
    resealed: 0,
    pass: 1,
    from: null,
    unreadable: 0,
    unreadableValues: [],
  };
  for (let slice = 0; slice < slicesBeforeNewHistory; slice += 1) {
    setCurrentDetails(`${describe(keyId, progress)}.`);
    const done = await resealingWork.resealSlice.executeWithOptions(
      { summary: `Pass ${progress.pass}: ${describe(keyId, progress)} so far` },
      [{ keyId, from: progress.from }],
    );
    add(progress, done);
    if (done.supersededBy !== null) {
      return end(keyId, progress, { leftOver: null, supersededBy: done.supersededBy });
    }
    if (done.next === null) {
      const otherwise = await records.countSealedOtherwise(keyId);
      // What a worker did just before it was killed is in no slice's count.
      progress.resealed = Math.max(progress.resealed, progress.values - otherwise);
      const left = otherwise - progress.unreadable;
      if (left <= 0 || progress.pass === passes) {
        return end(keyId, progress, { leftOver: Math.max(0, left), supersededBy: null });
      }
      await sleep(betweenPasses, { summary: `${count(left, 'value')} changed meanwhile` });
      Object.assign(progress, { pass: progress.pass + 1, unreadable: 0, unreadableValues: [] });
    }
  }
  return continueAsNew<typeof resealing>({ keyId, carried: progress });
}

function add(progress: Progress, done: ResealedSlice): void {
  progress.resealed += done.resealed;
  progress.unreadable += done.unreadable;
  const all = [...progress.unreadableValues, ...done.unreadableValues];
  progress.unreadableValues = all.slice(0, mostNamed);
  progress.from = done.next;
}

function end(
  keyId: string,
  progress: Progress,
  { leftOver, supersededBy }: Pick<Resealed, 'leftOver' | 'supersededBy'>,
): Resealed {
  const { resealed, unreadable, unreadableValues } = progress;
  const why = supersededBy === null ? '' : ` The rest is for the newer key ${supersededBy}.`;
  const left = leftOver === null ? '' : `, ${thousands(leftOver)} left over`;
  setCurrentDetails(`${describe(keyId, progress)}${left}.${why}`);
  return { keyId, resealed, leftOver, unreadable, unreadableValues, supersededBy };
}

/** "Re-sealed 40,000 of 100,000 values with key k2, 0 unreadable". */
function describe(keyId: string, { resealed, values, unreadable }: Progress): string {
  return (
    `Re-sealed ${thousands(resealed)} of ${count(values, 'value')} with key ${keyId}, ` +
    `${thousands(unreadable)} unreadable`
  );
}
