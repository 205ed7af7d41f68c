/** Lets a few pieces of work through at a time; the others wait in the order they came. */
export type Limiter = <T>(work: () => Promise<T>) => Promise<T>;

export interface ElasticLimiter extends Limiter {
  /** Lets one more through from now on, up to `most`; for two seconds after the last one was asked for. */
  letOneMore(): void;
}

const longerMs = 2_000;

/** `usual` pieces at a time; more, up to `most`, while they are asked for. */
export function createLimiter(usual: number, most = usual): ElasticLimiter {
  let limit = usual;
  let changedAtMs = 0;
  let atWork = 0;
  const waiting: (() => void)[] = [];
  const letThrough = (): void => {
    if (atWork < limit && waiting.length > 0) {
      atWork += 1;
      waiting.shift()?.();
    }
  };
  const changeLimit = (by: 1 | -1): void => {
    limit += by;
    changedAtMs = performance.now();
  };
  const limited = async <T>(work: () => Promise<T>): Promise<T> => {
    if (atWork < limit) {
      atWork += 1;
    } else {
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      atWork -= 1;
      if (limit > usual && performance.now() - changedAtMs > longerMs) {
        changeLimit(-1);
      }
      letThrough();
    }
  };
  const letOneMore = (): void => {
    if (waiting.length > 0 && limit < most) {
      changeLimit(1);
      letThrough();
    }
  };
  return Object.assign(limited, { letOneMore });
}
