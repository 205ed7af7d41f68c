import { cleaned, reasonIn } from '../../providers/vendorText';

test.each([
  { text: 'Ünreachable 🔔', kept: 'Ünreachable 🔔' },
  { text: 'a\u0000b', kept: 'ab' },
  { text: '\ud83d alone', kept: '\ufffd alone' },
  { text: 'two\nlines', kept: 'two\nlines' },
])('$text is kept as $kept', ({ text, kept }) => {
  expect(cleaned(text)).toBe(kept);
});

test.each([
  { text: '550-5.1.1 no\r\n550 such\u0000 user', reason: '550-5.1.1 no  550 such  user' },
  { text: 'x'.repeat(1_000), reason: 'x'.repeat(300) },
  { text: `${'x'.repeat(299)}🔔`, reason: `${'x'.repeat(299)}\ufffd` },
])('a reason is one short line that can be stored', ({ text, reason }) => {
  expect(reasonIn(text)).toBe(reason);
});
