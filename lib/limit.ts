import { AppError } from '../domain/errors';

/**
 * Lets so many run at once; the others wait in the order they came. Who would wait behind too many is
 * refused at once, because whoever asked is gone by the time it would be their turn.
 */
export function createLimit(
  atOnce: number,
  longestQueue = Number.POSITIVE_INFINITY,
): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];

  return async (work) => {
    if (running >= atOnce) {
      if (waiting.length >= longestQueue) {
        throw new AppError('unavailable', 'tooBusy', 'Too much is going on; try again soon.', {
          retryAfterSeconds: 2,
        });
      }
      // Whoever ends hands the place on, so that nobody who comes in between takes it.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) {
        running -= 1;
      } else {
        next();
      }
    }
  };
}
