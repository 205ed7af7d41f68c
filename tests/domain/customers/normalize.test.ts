import { mergeAttributes } from '../../../domain/customers/attributes';
import { normalizeEmail } from '../../../domain/customers/email';
import { canonicalLanguage } from '../../../domain/customers/language';
import { normalizePhone } from '../../../domain/customers/phone';
import { normalizeTags } from '../../../domain/customers/tags';

test.each([
  [' Ana.Lopez@EXAMPLE.com ', 'Ana.Lopez@example.com'],
  ["o'neil+news@mail.example.co.uk", "o'neil+news@mail.example.co.uk"],
  ['a@b-c.example', 'a@b-c.example'],
  [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
  [`${'a'.repeat(65)}@example.com`, null],
  [`a@${'b'.repeat(63)}.com`, `a@${'b'.repeat(63)}.com`],
  [`a@${'b'.repeat(64)}.com`, null],
  [`a@${'long.'.repeat(60)}com`, null],
  ['a@localhost', null],
  ['a@1.2.3.4', null],
  ['a@-b.com', null],
  ['a@b..com', null],
  ['a@b.com.', null],
  ['.a@b.com', null],
  ['a..b@c.com', null],
  ['a b@c.com', null],
  ['a@b@c.com', null],
  ['@b.com', null],
  ['a@', null],
  ['müller@example.com', null],
  ['a@exämple.com', null],
  ['Ana <a@b.com>', null],
  ['a@b.com\r\nBcc: c@d.com', null],
  ['=?utf-8?q?other=40b.com?=@example.com', null],
  ['', null],
])('the email %j becomes %j', (text, expected) => {
  expect(normalizeEmail(text)).toBe(expected);
});

test.each([
  ['+49 (30) 123-456', '+4930123456'],
  ['+1.650.555.0100', '+16505550100'],
  ['+123456789012345', '+123456789012345'],
  ['+1234567890123456', null],
  ['004930123456', null],
  ['+0123456789', null],
  ['+12345', null],
  ['+49 30 CALL', null],
])('the phone %j becomes %j', (text, expected) => {
  expect(normalizePhone(text)).toBe(expected);
});

test.each([
  ['pt-br', 'pt-BR'],
  ['de_AT', 'de-AT'],
  [' zh-hans-cn ', 'zh-Hans-CN'],
  ['iw', 'he'],
  ['english', 'english'],
  ['not a tag', null],
  ['x', null],
  ['', null],
  [`en-${'a-bcd-'.repeat(10)}x`, null],
])('the language %j becomes %j', (text, expected) => {
  expect(canonicalLanguage(text)).toBe(expected);
});

test('tags are each there once, in the order they came', () => {
  expect(normalizeTags([' vip', 'new', 'vip ', '', 'VIP'])).toEqual(['vip', 'new', 'VIP']);
});

test('attributes are merged by name, and null removes', () => {
  expect(mergeAttributes({ a: 1, b: 2 }, { b: null, c: [1, null] })).toEqual({
    a: 1,
    c: [1, null],
  });
});
