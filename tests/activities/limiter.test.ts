import { setImmediate as othersTurn } from 'node:timers/promises';
import { createLimiter, type ElasticLimiter } from '../../activities/messages/limiter';

test('lets no more through than it was told, in the order they came, and goes on after a failure', async () => {
  const limited = createLimiter(2);
  const finish: (() => void)[] = [];
  const started: number[] = [];
  const work = (n: number) =>
    limited(async () => {
      started.push(n);
      await new Promise<void>((resolve) => finish.push(resolve));
      if (n === 1) {
        throw new Error('one fails');
      }
      return n;
    });
  const failing = work(1).catch((error: Error) => error.message);
  const rest = [2, 3, 4].map(work);
  expect(started).toEqual([1, 2]);
  finish[0]?.();
  expect(await failing).toBe('one fails');
  expect(started).toEqual([1, 2, 3]);
  finish[1]?.();
  await rest[0];
  expect(started).toEqual([1, 2, 3, 4]);
  finish.slice(2).forEach((each) => each());
  expect(await Promise.all(rest)).toEqual([2, 3, 4]);
});

describe('more than usual', () => {
  let nowMs: number;
  let finish: Map<number, () => void>;
  let started: number[];
  let limited: ElasticLimiter;
  let ended: Promise<void>[];

  beforeEach(() => {
    nowMs = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
    finish = new Map();
    started = [];
    limited = createLimiter(1, 2);
    ended = [1, 2, 3, 4, 5].map((n) =>
      limited(async () => {
        started.push(n);
        await new Promise<void>((resolve) => finish.set(n, resolve));
      }, n < 5),
    );
  });

  afterEach(() => jest.restoreAllMocks());

  const end = (n: number) => {
    finish.get(n)?.();
    return ended[n - 1];
  };

  test('lets more through when it is asked to, up to the most, and keeps to it', async () => {
    expect(started).toEqual([1]);
    limited.letOneMore();
    limited.letOneMore();
    await othersTurn();
    expect(started).toEqual([1, 2]);
    await end(1);
    expect(started).toEqual([1, 2, 3]);
  });

  test('goes back to what is usual when nobody has asked for two seconds', async () => {
    limited.letOneMore();
    nowMs = 2_001;
    await end(1);
    expect(started).toEqual([1, 2]);
    await end(2);
    expect(started).toEqual([1, 2, 3]);
    await end(3);
    expect(started).toEqual([1, 2, 3, 4]);
  });

  test('lets only those through beyond what is usual who may go', async () => {
    for (const n of [1, 2, 3]) {
      await end(n);
    }
    limited.letOneMore();
    await othersTurn();
    expect(started).toEqual([1, 2, 3, 4]);
  });

  test('lets nobody more through when nobody waits', async () => {
    for (const n of [1, 2, 3, 4]) {
      await end(n);
    }
    limited.letOneMore();
    const work = jest.fn(() => Promise.resolve());
    const sixth = limited(work, true);
    await othersTurn();
    expect(work).not.toHaveBeenCalled();
    await end(5);
    await sixth;
  });
});
