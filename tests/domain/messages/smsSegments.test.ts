import { smsSegments } from '../../../domain/messages/smsSegments';

const a = (count: number) => 'a'.repeat(count);
const gsm = (units: number, segments: number) => ({ encoding: 'gsm7', units, segments });
const ucs = (units: number, segments: number) => ({ encoding: 'ucs2', units, segments });

test.each([
  ['nothing', '', gsm(0, 0)],
  ['one character', 'a', gsm(1, 1)],
  ['a full message', a(160), gsm(160, 1)],
  ['one more, which costs the joining header', a(161), gsm(161, 2)],
  ['two full parts', a(306), gsm(306, 2)],
  ['the first character of a third part', a(307), gsm(307, 3)],
  ['an escaped character, which counts two', '€', gsm(2, 1)],
  ['all escaped characters', '\f^{}\\[~]|€', gsm(20, 1)],
  ['a message that an escaped character fills', `${a(158)}€`, gsm(160, 1)],
  ['one that an escaped character overflows', `${a(159)}€`, gsm(161, 2)],
  ['an escape that does not fit its part moves whole', `${a(152)}€${a(152)}`, gsm(306, 3)],
  ['letters of the default alphabet', 'ÄÖÑÜ§¿äöñüà ΔΦΓΛΩΠΨΣΘΞ ÆæßÉ @£$¥', gsm(32, 1)],
  ['a letter that only looks like one of it', 'ç', ucs(1, 1)],
  ['a curly quote', 'It’s', ucs(4, 1)],
  ['a full message of UCS-2', '€'.repeat(69) + 'ç', ucs(70, 1)],
  ['one more of UCS-2', `${a(70)}ç`, ucs(71, 2)],
  ['two full parts of UCS-2', `${a(133)}ç`, ucs(134, 2)],
  ['a third part of UCS-2', `${a(134)}ç`, ucs(135, 3)],
  ['an emoji, which is two units', '🔔', ucs(2, 1)],
  ['a pair of units is not torn apart', `${a(66)}🔔${a(66)}`, ucs(134, 3)],
  ['a lone half of a pair', '\uD83D', ucs(1, 1)],
  ['a tab, which the alphabet lacks', 'a\tb', ucs(3, 1)],
  ['line ends, which it has', 'a\r\nb', gsm(4, 1)],
])('%s', (_, text, expected) => {
  expect(smsSegments(text)).toEqual(expected);
});

test('the alphabet has 127 characters beside its escape, and 10 escaped ones', () => {
  const all = Array.from({ length: 0x1_0000 }, (_, code) => String.fromCharCode(code));
  const known = all.map(smsSegments).filter(({ encoding }) => encoding === 'gsm7');
  expect(known.filter(({ units }) => units === 1)).toHaveLength(127);
  expect(known.filter(({ units }) => units === 2)).toHaveLength(10);
});
