import { pause } from './pause';
import type { Run } from './Run';
import type { Answered, Place } from './runTypes';

/** One call that comes whole, and about how many tokens its answer has. */
export interface WholeCall<T extends Answered> {
  readonly call: (place: Place) => Promise<T>;
  readonly tokensOf: (answer: T) => number;
}

export interface Got<T> {
  readonly place: Place;
  readonly answer: T;
}

/** One attempt; null where it failed, which the run knows then. */
export async function attempt<T extends Answered>(
  run: Run,
  place: Place,
  { call, tokensOf }: WholeCall<T>,
): Promise<Got<T> | null> {
  try {
    const answer = await call(place);
    const isTold = answer.usage.completionTokens > 0;
    run.answered(place, answer, {
      firstTokenMs: null,
      writtenTokens: isTold ? 0 : tokensOf(answer),
    });
    return { place, answer };
  } catch (error) {
    run.failedAt(place, error, { firstTokenMs: null, writtenTokens: 0 });
    return null;
  }
}

/**
 * One attempt, and a second one beside it on another account where the first takes too long. The
 * first answer wins and the other attempt is called off; both are recorded.
 */
export async function attemptHedged<T extends Answered>(
  run: Run,
  work: WholeCall<T>,
  afterMs: number,
): Promise<Got<T> | null> {
  const first = await run.place({ isApart: true });
  let isOver = false;
  const firstGot = attempt(run, first, work).finally(() => {
    isOver = true;
  });
  if (!(await isSlow(firstGot, afterMs))) {
    return firstGot;
  }
  // An answer that is there does not wait until a second one is paid for: that may take seconds.
  const second = await Promise.race([
    run.placeBeside(first, () => isOver),
    firstGot.then(() => null),
  ]);
  if (second === null) {
    return firstGot;
  }
  const secondGot = attempt(run, second, work);
  const winner = await firstAnswer(firstGot, secondGot);
  first.stop();
  second.stop();
  // What is called off ends at once, and the record is to hold it.
  await Promise.all([firstGot, secondGot]);
  return winner;
}

async function isSlow(got: Promise<unknown>, afterMs: number): Promise<boolean> {
  const isDone = new AbortController();
  const slow = pause(afterMs, isDone.signal).then(() => true);
  const wasSlow = await Promise.race([got.then(() => false), slow]);
  isDone.abort();
  return wasSlow;
}

async function firstAnswer<T>(one: Promise<T | null>, other: Promise<T | null>): Promise<T | null> {
  const sooner = await Promise.race([
    one.then((got) => ({ got, later: other })),
    other.then((got) => ({ got, later: one })),
  ]);
  return sooner.got ?? sooner.later;
}
