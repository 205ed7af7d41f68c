import { createAnswerChecks } from '../../gateway/schemas';

const checks = createAnswerChecks();
const lamp = {
  name: 'lamp',
  schema: {
    type: 'object',
    properties: { name: { type: 'string', minLength: 1 }, watts: { type: 'integer' } },
    required: ['name'],
    additionalProperties: false,
  },
};

test('what fits is given as it is read, with a fence or without', () => {
  const check = checks.of(lamp);
  expect(check('{"name":"Lux","watts":7}')).toEqual({ json: { name: 'Lux', watts: 7 } });
  expect(check('```json\n{"name":"Lux"}\n```\n')).toEqual({ json: { name: 'Lux' } });
});

test('what does not fit is told in words a model can follow', () => {
  const check = checks.of(lamp);
  expect(check('{"watts":"7"}')).toEqual({
    problem: expect.stringMatching(
      /answer must have required property 'name'.*watts must be integer/,
    ),
  });
  expect(check('Here it is: {}')).toEqual({ problem: 'It is no JSON.' });
});

test.each([
  ['none', { type: 'lamp' }],
  ['a reference to elsewhere', { $ref: 'https://example.com/lamp.json' }],
  ['a reference to itself alone', { $ref: '#' }],
  ['a pattern that is none', { type: 'string', pattern: '(' }],
  [
    'full of patterns',
    { anyOf: Array.from({ length: 60 }, (_, n) => ({ type: 'string', pattern: `^lamp ${n}$` })) },
  ],
  ['too large', { enum: Array.from({ length: 5_000 }, (_, n) => `lamp ${n}`) }],
])('a schema that is %s is refused by its name', (_, schema) => {
  expect(() => checks.of({ name: 'lamp', schema })).toThrow(
    expect.objectContaining({
      kind: 'invalid',
      problems: [expect.objectContaining({ path: 'schema' })],
    }),
  );
});

test('schemas that name themselves alike, in any dialect, do not meet', () => {
  const named = (type: string) =>
    checks.of({
      name: 'lamp',
      schema: { $id: 'lamp', $schema: 'http://json-schema.org/draft-07/schema#', type },
    });
  expect(named('string')('"Lux"')).toEqual({ json: 'Lux' });
  expect(named('integer')('7')).toEqual({ json: 7 });
  expect(named('integer')('"Lux"')).toEqual({ problem: expect.any(String) });
});

test('a pattern that would take for ever is given up', () => {
  const slow = checks.of({ name: 'slow', schema: { type: 'string', pattern: '^(a+)+$' } });
  expect(slow('"aaa"')).toEqual({ json: 'aaa' });
  expect(slow(JSON.stringify(`${'a'.repeat(60)}!`))).toEqual({
    problem: expect.stringContaining('could not be checked'),
  });
});

test('items that are compared with each other for too long are given up', () => {
  const alike = checks.of({ name: 'alike', schema: { type: 'array', uniqueItems: true } });
  const items = (n: number) => JSON.stringify(Array.from({ length: n }, (_, at) => ({ a: at })));
  expect(alike(items(20))).toMatchObject({ json: expect.any(Array) });
  expect(alike(items(20_000))).toEqual({
    problem: expect.stringContaining('could not be checked'),
  });
});

test('an answer that is longer than any is not looked at', () => {
  const check = checks.of({ name: 'text', schema: { type: 'string' } });
  expect(check(JSON.stringify('a'.repeat(600_000)))).toEqual({ problem: 'It is too long.' });
});

test('a fence that never ends is looked for but once', () => {
  const check = checks.of(lamp);
  const before = process.cpuUsage().user;
  expect(check(`\`\`\`${'\n'.repeat(100_000)}x`)).toEqual({ problem: 'It is no JSON.' });
  // A pattern would take hours.
  expect(process.cpuUsage().user - before).toBeLessThan(2_000_000);
});

test.each(['```\n7\n```', '```json\r\n7\r\n```', ' ``` \n7```', '7\n'])('%j is read', (answer) => {
  expect(checks.of({ name: 'n', schema: { type: 'integer' } })(answer)).toEqual({ json: 7 });
});
