import { createBreakers, type Tripped } from '../../../domain/llm/breaker';
import type { FailureKind } from '../../../domain/llm/failures';

const model = 'maker/large';
const t0 = Date.UTC(2026, 10, 21, 12);

function run(
  samples: readonly [keyId: string, failure: FailureKind | null, atMs?: number][],
  usable = 6,
): (Tripped | null)[] {
  const breakers = createBreakers();
  return samples.map(([keyId, failure, atMs = 0]) =>
    breakers.note({ model, keyId, failure, now: t0 + atMs, usableKeys: () => usable }),
  );
}

const opened = (answers: (Tripped | null)[]) => answers.filter((answer) => answer !== null);
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
const each = (ids: string, failure: FailureKind | null): [string, FailureKind | null][] =>
  ids.split('').map((id) => [id, failure]);

test('blames the model when at least ten calls, and half of them, fail with most of its keys', () => {
  const answers = run([...each('abcde', null), ...each('abcde', 'serverError')]);
  expect(answers.slice(0, 9)).toEqual(times(9, null));
  expect(answers[9]).toEqual({ what: 'model', before: { serverError: 5 } });
});

test.each([
  ['fewer than ten calls', run(each('abcdefabc', 'timeout'))],
  ['fewer than half', run([...each('abcdef', null), ...each('abcdef', 'timeout').slice(0, 5)])],
  [
    'what is older than 30 s',
    run([
      ...times<[string, FailureKind, number]>(1, ['a', 'timeout', 0]),
      ...each('bcdef', 'timeout'),
      ...each('abcd', 'timeout').map(([id, failure]): [string, FailureKind | null, number] => [
        id,
        failure,
        31_000,
      ]),
    ]),
  ],
  ['a minority of the keys', run(times(20, [...each('ab', 'timeout')]).flat())],
])('does not blame the model for %s', (_, answers) => {
  expect(opened(answers)).toEqual([]);
});

test('blames the model where its only key fails', () => {
  const answers = run(times<[string, FailureKind]>(10, ['a', 'emptyAnswer']), 1);
  expect(opened(answers)).toEqual([{ what: 'model', before: { emptyAnswer: 10 } }]);
});

test('blames a key at its second failure while the others are well', () => {
  const answers = run([...each('bcdef', null), ['a', 'firstTokenTimeout'], ['a', 'brokenAnswer']]);
  expect(answers.at(-2)).toBeNull();
  expect(answers.at(-1)).toEqual({
    what: 'key',
    before: { firstTokenTimeout: 1, brokenAnswer: 1 },
  });
});

test('blames a key that served many and answers nobody any more', () => {
  const served = times(50, each('abcdef', null)).flat();
  const silent: [string, FailureKind | null][] = [
    ...each('aa', 'firstTokenTimeout'),
    ...each('bcdef', null),
    ...each('aa', 'firstTokenTimeout'),
  ];
  const answers = run([...served, ...silent]);
  expect(opened(answers.slice(0, -1))).toEqual([]);
  expect(answers.at(-1)).toEqual({ what: 'key', before: { firstTokenTimeout: 4 } });
  // With most of the others silent too, it is not the key.
  const all = run([...served, ...times(4, each('abcd', 'firstTokenTimeout')).flat()]);
  expect(opened(all)).toEqual([]);
});

test('blames each of three bad keys of six, and not the model', () => {
  const answers = run(times(4, [...each('abc', 'brokenAnswer'), ...each('def', null)]).flat());
  expect(new Set(opened(answers).map(({ what }) => what))).toEqual(new Set(['key']));
  expect(opened(answers).length).toBeGreaterThanOrEqual(3);
});

test.each([
  ['of which the others know nothing', run(each('aaaa', 'timeout'))],
  ['that fails as often as most', run(times(3, each('abcd', 'timeout')).flat().slice(0, 9))],
  [
    'that fails now and then in many calls',
    run([
      ...times(50, each('abcdef', null)).flat(),
      ['a', 'timeout'],
      ['a', 'timeout'],
      ['a', 'timeout'],
    ]),
  ],
])('does not blame a key %s', (_, answers) => {
  expect(opened(answers)).toEqual([]);
});
