/**
 * Lets a few pieces of work through at a time; the others wait in the order they came. One that may be
 * extra is let through beyond what is usual when more are asked for.
 */
export type Limiter = <T>(work: () => Promise<T>, mayBeExtra?: boolean) => Promise<T>;

export interface ElasticLimiter extends Limiter {
  /** Lets one more through from now on, up to `most`; for two seconds after the last one was asked for. */
  letOneMore(): void;
}

const longerMs = 2_000;

/** `usual` pieces at a time; more, up to `most`, while they are asked for. */
export function createLimiter(usual: number, most = usual): ElasticLimiter {
  let limit = usual;
  let setAtMs = 0;
  let atWork = 0;
  const waiting: { start: () => void; mayBeExtra: boolean }[] = [];
  const letThrough = (): void => {
    if (atWork < limit && waiting.length > 0) {
      atWork += 1;
      waiting.shift()?.start();
    }
  };
  const setLimit = (to: number): void => {
    limit = to;
    setAtMs = performance.now();
  };
  const limited = async <T>(work: () => Promise<T>, mayBeExtra = false): Promise<T> => {
    if (atWork < limit) {
      atWork += 1;
    } else {
      await new Promise<void>((start) => waiting.push({ start, mayBeExtra }));
    }
    try {
      return await work();
    } finally {
      atWork -= 1;
      if (limit > usual && performance.now() - setAtMs > longerMs) {
        setLimit(limit - 1);
      }
      letThrough();
    }
  };
  const letOneMore = (): void => {
    if (waiting[0]?.mayBeExtra === true) {
      setLimit(Math.min(limit + 1, most));
      letThrough();
    }
  };
  return Object.assign(limited, { letOneMore });
}
