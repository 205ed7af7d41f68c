/** Customers whose values are written to break out of where they are shown. */

/** A customer as a caller writes it to the API. */
export interface HostilePerson {
  email: string;
  phone: string;
  externalId: string;
  firstName: string | null;
  lastName: string | null;
  timeZone: string;
  tags: string[];
  attributes: Record<string, unknown>;
}

/**
 * So many people, the same for the same seed. Every value of one holds their mark and nobody
 * else's, so that a text found anywhere tells whose it is.
 */
export function hostilePeople(seed: number, count: number): HostilePerson[] {
  const random = seededRandom(seed);
  const dice: Dice = {
    below: (limit) => Math.floor(random() * limit),
    pick: (items) => items[Math.floor(random() * items.length)] ?? '',
  };
  return Array.from({ length: count }, (_, n) => hostilePerson(n, dice));
}

/** The mark of one person; no two have the same. */
export function markOf(n: number): string {
  return `zq${String(n).padStart(4, '0')}qz`;
}

/** All marks in a text, each once, whatever became of their case. */
export function marksIn(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(/zq\d{4}qz/gi), ([mark]) => mark.toLowerCase()))];
}

interface Dice {
  below(limit: number): number;
  pick(items: readonly string[]): string;
}

function hostilePerson(n: number, dice: Dice): HostilePerson {
  const mark = markOf(n);
  const text = (longest: number) => hostileText(mark, longest, dice);
  return {
    email: `${dice.pick(localParts)}${mark}@${dice.pick(['a', 'b-c'])}.example.com`,
    phone: `+4930${1_000_000 + n}`,
    externalId: text(200),
    firstName: n % 9 === 4 ? null : text(100),
    lastName: n % 7 === 3 ? null : text(100),
    timeZone: dice.pick(['Europe/Berlin', 'Asia/Tokyo', 'America/Sao_Paulo']),
    tags: Array.from({ length: dice.below(4) }, () => text(60)),
    attributes: {
      note: text(300),
      ...(n % 5 === 2 ? { big: longText(mark, dice) } : {}),
      list: [text(40), dice.below(1_000), text(40)],
      deep: { er: text(60), [`"}{{ x }}<i>${mark}`]: text(20) },
      [`' or <b>${dice.pick(pieces).slice(0, 20)}${mark}`.trim()]: text(40),
      constructor: mark,
    },
  };
}

/** Pieces around the mark, as many as fit. */
function hostileText(mark: string, longest: number, dice: Dice): string {
  let text = mark;
  for (let tries = dice.below(4) + 1; tries > 0; tries -= 1) {
    const piece = dice.pick(pieces);
    if (text.length + piece.length <= longest) {
      text = dice.below(2) === 0 ? text + piece : piece + text;
    }
  }
  return text;
}

// Too large for what one recipient of a shared call may bring, in one way or in another.
function longText(mark: string, dice: Dice): string {
  const unit = dice.pick(['<', '"', '漢', '👩‍👧', 'x', '\r\n.', '\\', '{{', '=']);
  return mark + unit.repeat(Math.floor((2_000 + dice.below(800)) / Buffer.byteLength(unit)));
}

const localParts = [
  '',
  '{{customer}}',
  '{%raw%}',
  '-k3Jq9ZpLw2x0-',
  "'or'1'='1",
  '$&',
  '#$%^|~',
  '`id`',
  'a.b+',
];

const pieces = [
  // HTML
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='x",
  '</p></body></html><!--',
  '--></style></title>',
  ']]><![CDATA[',
  '&lt;b&gt;&amp;&#34;&#x22;',
  '<a href="https://evil.example/">',
  // Headers, parts and commands of mail
  'x\r\nBcc: victim@evil.example\r\n\r\nbody',
  '\nSubject: other',
  '\r\n.\r\nMAIL FROM:<a@evil.example>\r\n',
  '\n.\n',
  '.',
  '..',
  '\rX-Header: y',
  '\r\n--boundary--\r\n',
  'From ',
  '=?utf-8?B?PHNjcmlwdD4=?=',
  '=?utf-8?Q?a_b?= =?utf-8?Q?c?=',
  '=0D=0ABcc: victim@evil.example',
  '=\r\n',
  'Doe, Jane; "Q" <evil@evil.example>',
  'group: a@evil.example, b@evil.example;',
  '(comment \\',
  // Tokens
  '-k3Jq9ZpLw2x0-',
  '-0123456789abx0--0123456789abx1-',
  'x0-',
  '-',
  '%recipient.email%',
  '[%first_name%]',
  '*|FNAME|*',
  "$& $1 $` $' $$",
  // Liquid
  '{{ customer.email }}',
  '{{ customer.firstName | upcase }}',
  '{% for x in (1..9) %}{{ x }}{% endfor %}',
  '{%- assign a = 1 -%}',
  '{% raw %}',
  '{% endraw %}{% endif %}',
  '{{{ raw }}}',
  '{{1}}',
  '{{ links.unsubscribe }}',
  '{',
  '{%',
  // JSON, forms and queries
  '","carillon_m":"1","x":"',
  '"}],"to":[{"email":"victim@evil.example"}],"x":[{"y":"',
  '\\',
  '\\"',
  '\\u0000\\n',
  '&To=%2B15005550006&Body=other',
  '%0d%0aBcc: victim@evil.example',
  "'; drop table customers; --",
  // Characters
  '\u202Egnp.exe\u202C\u2066',
  'a\u200B\u200D\u2060b',
  '\u2028\u2029',
  '👩‍👩‍👧‍👦🏳️‍🌈',
  'e\u0301\u0323\u034F',
  'Łucja 漢字 مرحبا',
  '€{[~]}^|\\ÄÖ@£',
  '`´‘’“”…',
  '\t\t     x     y',
  '\u0007\u001b[31m\u007f\u0085',
  '\uFFFD\uFFFE',
  'x'.repeat(90),
  '漢'.repeat(70),
];

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
