import { microsOf, microsPerMillionOf } from '../../../providers/llm/money';

test.each([
  [0, 0],
  ['0', 0],
  [1, 1_000_000],
  ['0.0000005', 1],
  [0.0000005, 1],
  ['0.00000049999999999999999', 0],
  [5e-7, 1],
  ['1e-7', 0],
  [0.1 + 0.2, 300_000],
  [1.0000005, 1_000_001],
  ['-2.5', -2_500_000],
  ['9007199254.740991', Number.MAX_SAFE_INTEGER],
  ['9007199254.740992', null],
  [Number.NaN, null],
  [Number.POSITIVE_INFINITY, null],
  ['', null],
  ['free', null],
  [null, null],
  [undefined, null],
])('%p dollars are %p micros', (dollars, micros) => {
  expect(microsOf(dollars)).toBe(micros);
});

test('prices of tokens are those of a million, to the micro', () => {
  expect(microsPerMillionOf('0.00000015')).toBe(150_000);
  expect(microsPerMillionOf('0.000000000001')).toBe(1);
  expect(microsPerMillionOf('-1')).toBe(-1_000_000_000_000);
});
