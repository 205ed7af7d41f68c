import { createLimiter } from '../../activities/messages/limiter';

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
