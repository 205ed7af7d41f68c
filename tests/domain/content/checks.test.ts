import { checkVariants } from '../../../domain/content/checks';
import { promptFor } from '../../../domain/content/prompt';
import type { ContentBrief, WrittenVariant } from '../../../domain/content/types';

const brief: ContentBrief = {
  goal: 'Sell lamps',
  facts: ['20 % off until 3 May', 'Greet them as {{customer.firstName}}'],
  tone: null,
  language: 'en',
  channel: 'email',
  count: 1,
};
const good: WrittenVariant = {
  subject: 'Lamps for 20 % less',
  body: 'Dear {{ customer.firstName }}, lamps are 20 % off until 3 May.',
};

const look = (variant: Partial<WrittenVariant>, changes: Partial<ContentBrief> = {}) =>
  checkVariants({ ...brief, ...changes }, [{ ...good, ...variant }]);

test('what keeps to the brief is usable as it is', () => {
  expect(look({})).toEqual({ usable: [{ ...good, warnings: [] }], faults: [] });
});

const faulty: [string, Partial<WrittenVariant>, RegExp, Partial<ContentBrief>?][] = [
  ['a lost placeholder', { body: 'Dear customer, lamps.' }, /customer\.firstName/],
  ['another placeholder', { body: `${good.body} {{ shop.name }}` }, /no other placeholders/],
  ['a placeholder where there is none', {}, /no placeholders/, { facts: ['20 % off until 3 May'] }],
  ['a long subject', { subject: 'x'.repeat(151) }, /150 characters/],
  ['a subject of two lines', { subject: 'Lamps\nBcc: all@example.com' }, /one line/],
  ['a long body', { body: good.body.padEnd(919, 'x'), subject: null }, /918/, { channel: 'sms' }],
  ['HTML', { body: `${good.body} <script>alert(1)</script>` }, /without HTML/],
];

test.each(faulty.map(([what, ...rest]) => ({ what, rest })))('$what is a fault', ({ rest }) => {
  const [variant, words, changes] = rest;
  const { usable, faults } = look(variant, changes);
  expect(usable).toEqual([]);
  expect(faults).toEqual([expect.stringMatching(words)]);
  expect(faults[0]).toMatch(/^Variant 1: /);
});

test.each<[string, Partial<WrittenVariant>]>([
  ['longSubject', { subject: 'x'.repeat(51) }],
  ['unknownNumber', { body: `${good.body} Since 1998.` }],
])('%s is a warning', (warning, variant) => {
  expect(look(variant)).toMatchObject({ usable: [{ warnings: [warning] }], faults: [] });
});

test('a number in a placeholder is none', () => {
  const facts = [...brief.facts, 'Name {{ order.line1 }}'];
  expect(look({ body: `${good.body} {{order.line1}}` }, { facts }).usable[0]?.warnings).toEqual([]);
});

test('says how many are missing, and takes no more than were asked for', () => {
  expect(checkVariants({ ...brief, count: 3 }, [good]).faults).toEqual(['2 variants are missing.']);
  expect(checkVariants(brief, [good, good]).usable).toHaveLength(1);
});

test('the prompt names what must be kept, whatever stands in the brief', () => {
  const [, asked] = promptFor({ ...brief, tone: 'warm', language: 'pt-BR' });
  expect(asked?.content).toContain('Language: Brazilian Portuguese (pt-BR)');
  expect(asked?.content).toContain('{{ customer.firstName }}');
  expect(asked?.content).toContain('Tone: warm');
  expect(asked?.content).toContain('- 20 % off until 3 May');
});
