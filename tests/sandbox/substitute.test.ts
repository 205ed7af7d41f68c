import { substitute } from '../../sandbox/sendgrid/substitute';

test.each([
  ['a key everywhere it occurs', 'x -a- y -a-', { '-a-': '1' }, 'x 1 y 1'],
  ['values that hold keys stay as they are', '-a- -b-', { '-a-': '-b-', '-b-': '-a-' }, '-b- -a-'],
  ['the longer of two keys wins', '-ab- -a', { '-a': '1', '-ab-': '2' }, '2 1'],
  [
    'keys are texts, not patterns',
    'a.c abc $& {{x}}',
    { 'a.c': '1', '$&': '2', '{{x}}': '3' },
    '1 abc 2 3',
  ],
  ['values are texts, not patterns', '-a-', { '-a-': '$& $1 \\' }, '$& $1 \\'],
  ['an empty key is none', 'abc', { '': 'x' }, 'abc'],
  ['an empty value removes the key', 'a-k-b', { '-k-': '' }, 'ab'],
  ['names of object members are ordinary keys', 'constructor', { constructor: 'x' }, 'x'],
])('%s', (_, text, substitutions: Record<string, string>, expected) => {
  expect(substitute(text, substitutions)).toBe(expected);
});
