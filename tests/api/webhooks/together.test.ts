import { createGroups, createSharedAsking } from '../../../api/webhooks/together';

/** Groups as they were worked on; each ends when the test says so. */
function groupsOf(most = 100) {
  const begun: { key: string; items: number[]; end(error?: Error): void }[] = [];
  const take = createGroups<number>({
    most,
    work: (key, items) =>
      new Promise((resolve, reject) => {
        begun.push({ key, items, end: (error) => (error ? reject(error) : resolve()) });
      }),
  });
  return { begun, take };
}

describe('groups', () => {
  test('the first does not wait, and those that come meanwhile are the next group', async () => {
    const { begun, take } = groupsOf();
    const taken = [1, 2, 3].map((item) => take('a', item));
    expect(begun.map(({ items }) => items)).toEqual([[1]]);
    begun[0]?.end();
    await taken[0];
    expect(begun.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    begun[1]?.end();
    await Promise.all(taken);
  });

  test('keys do not wait for each other', () => {
    const { begun, take } = groupsOf();
    void take('a', 1);
    void take('b', 2);
    expect(begun.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  test('a group that fails fails for its own, and the others go on', async () => {
    const { begun, take } = groupsOf(2);
    const taken = [1, 2, 3, 4].map((item) => take('a', item));
    const outcomes = Promise.allSettled(taken);
    begun[0]?.end();
    await taken[0];
    begun[1]?.end(new Error('no'));
    await expect(taken[1]).rejects.toThrow('no');
    expect(begun.map(({ items }) => items)).toEqual([[1], [2, 3], [4]]);
    begun[2]?.end();
    expect((await outcomes).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
  });

  test('after a rest the next one is done at once again', async () => {
    const { begun, take } = groupsOf();
    const first = take('a', 1);
    begun[0]?.end();
    await first;
    void take('a', 2);
    expect(begun.map(({ items }) => items)).toEqual([[1], [2]]);
  });
});

test('what is asked at the same moment is asked once, also when it fails', async () => {
  const ask = createSharedAsking<number>();
  let asked = 0;
  const answer = () => Promise.resolve((asked += 1));
  expect(await Promise.all([ask('a', answer), ask('a', answer), ask('b', answer)])).toEqual([
    1, 1, 2,
  ]);
  expect(await ask('a', answer)).toBe(3);
  const fail = () => Promise.reject(new Error('no'));
  const failed = await Promise.allSettled([ask('a', fail), ask('a', answer)]);
  expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await ask('a', answer)).toBe(4);
});
