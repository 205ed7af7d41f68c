import {
  checkSms,
  checkWhatsApp,
  compileSms,
  compileWhatsApp,
} from '../../../domain/messages/compileText';
import { ContentError, type Recipient, RenderFailure } from '../../../domain/messages/content';
import { allFields } from '../../../domain/messages/neededFields';
import { renderOne } from '../../../domain/messages/renderOne';
import { maxSmsLength } from '../../../domain/messages/smsContent';
import type { WhatsAppContent } from '../../../domain/messages/whatsAppContent';
import { at, buildRecipient, compile, seededRandom } from './fixtures';

const shared = { campaignName: 'Spring & Sun', tenantName: "Ana's <Shop>" };

function sms(body: string, changes: Partial<Recipient> = {}): string {
  return compileSms({ body }, shared).render(buildRecipient(changes), { at }).body;
}

function whatsApp(content: WhatsAppContent, changes: Partial<Recipient> = {}): WhatsAppContent {
  return compileWhatsApp(content, shared).render(buildRecipient(changes), { at });
}

function template(variables: Record<string, string>): WhatsAppContent {
  return { kind: 'template', id: 'order_shipped', language: 'pt_BR', variables };
}

describe('compileSms', () => {
  it('shows fields, shared names, dates and the way out as they are', () => {
    expect(
      sms(
        '{{ tenant.name }}: hi {{ customer.firstName }}! {{ campaign.name }}, ' +
          '{{ customer.attributes.points }} points, {{ "now" | date: "%H", customer.timeZone }} h. ' +
          '{{ links.unsubscribe }}',
      ),
    ).toBe("Ana's <Shop>: hi Ana! Spring & Sun, 120 points, 12 h. https://t.example/u/tok");
  });

  it.each([
    ['nothing but text', 'Sale!', []],
    [
      'plain fields',
      '{{ customer.language }}{{ customer.attributes.city }}',
      ['attributes', 'language'],
    ],
    [
      'whatever Liquid looks at',
      '{% if customer.tags.size > 1 %}a{% endif %}b',
      [...allFields].sort(),
    ],
  ])('says what it reads of a customer: %s', (_what, body, fields) => {
    expect([...compileSms({ body }, shared).fields].sort()).toEqual(fields);
  });

  // `| append: ""` shows the same and is no plain field, so that Liquid renders the whole text.
  it.each([
    ['quotes, tags and braces', `<b>"A" & 'B'</b> {{ customer.email }} {% raw %}`],
    ['JSON and forms', '"},{"to":"+15550001","Body":"x&To=%2B1555'],
    ['substitution tokens', '-a1b2c3d4e5f6x0- -k3Jq9ZpLw2x1-'],
    ['another script and an emoji', '日本語 ñ 🎉'],
    ['line breaks of all kinds', 'a\r\nb\rc\nd\u2028e\u0085f'],
    ['control characters', 'a\u0000b\u001b[31mc\td\u009be'],
    ['halves of a pair', 'a\ud83cb\udf89c'],
    ['nothing', ''],
  ])(
    'shows the same with and without Liquid, and nothing a phone cannot: %s',
    (_what, firstName) => {
      const plain = sms('Hi {{ customer.firstName }}.', { firstName });
      expect(sms('Hi {{ customer.firstName | append: "" }}.', { firstName })).toBe(plain);
      expect(plain).not.toMatch(/(?!\n)[\p{Cc}\p{Surrogate}]/u);
      expect(plain.startsWith('Hi ')).toBe(true);
      expect(plain.endsWith('.')).toBe(true);
    },
  );

  it('takes a customer’s Liquid for text', () => {
    const firstName = '{{ customer.email }}{% raw %}';
    expect(sms('{{ customer.firstName }}', { firstName })).toBe(firstName);
    expect(sms('{{ customer.firstName | append: "" }}', { firstName })).toBe(firstName);
  });

  it('makes one line break of each, and trims the ends', () => {
    expect(sms('\n Hi\r\n{{ customer.firstName }} \n\n', { firstName: 'A\rB\u2028C\td' })).toBe(
      'Hi\nA\nB\nC d',
    );
  });

  it('refuses what nobody would send: nothing, and more than vendors take', () => {
    const body = '{{ customer.attributes.text }}';
    const text = 'x'.repeat(maxSmsLength);
    expect(sms(body, { attributes: { text } })).toBe(text);
    expect(() => sms(body, { attributes: { text: `${text}x` } })).toThrow(
      new RenderFailure('body has more than 1600 characters'),
    );
    expect(() => sms(body, { attributes: { text: ' \n\u0007' } })).toThrow(
      new RenderFailure('body is empty'),
    );
  });

  it('stops a text that takes too much work, with and without Liquid', () => {
    const text = 'x'.repeat(8_000);
    const plain = '{{ customer.attributes.text }}'.repeat(300);
    expect(() => sms(plain, { attributes: { text } })).toThrow(RenderFailure);
    const loops =
      '{% for i in (1..1000) %}{% for j in (1..1000) %}{{ customer.attributes.text | size }}{% endfor %}{% endfor %}';
    expect(() => sms(loops, { attributes: { text } })).toThrow('the template takes too many steps');
  });

  it.each([
    ['an unknown field', 'Hi\n  {{ customer.fristName }}', [{ line: 2, column: 6 }]],
    ['Liquid that does not end', 'Hi {{ customer.firstName', [{ line: 1, column: 4 }]],
    ['an empty text', ' \n', [{ message: 'is empty' }]],
    ['a NUL', 'a\0b', [{ message: 'holds a NUL character' }]],
    ['a text too long for everybody', 'x'.repeat(1_601), [{ message: /shows more than 1600/ }]],
    ['a source without measure', ' '.repeat(10_001), [{ message: /longer than 10000/ }]],
  ])('names line and column of %s', (_what, body, expected) => {
    const problems = checkSms({ body });
    expect(problems).toHaveLength(expected.length);
    for (const [index, { message, ...place }] of expected
      .map((one) => ({ message: '', ...one }))
      .entries()) {
      expect(problems[index]).toMatchObject({ field: 'body', ...place });
      expect(problems[index]?.message).toMatch(message);
    }
    expect(() => compileSms({ body }, shared)).toThrow(ContentError);
  });

  it('does not count text that only some see', () => {
    const long = 'x'.repeat(1_000);
    const body = `{% if customer.firstName %}${long}{% else %}${long}{% endif %}`;
    expect(checkSms({ body })).toEqual([]);
  });
});

describe('a text put together at random from a seed', () => {
  const pieces = [
    '{{ customer.firstName }}',
    '{{ customer.firstName | default: "friend" }}',
    '{{- customer.attributes.a -}}',
    '{{ customer.attributes.a | default: 3 }}',
    '{{ customer.attributes.list }}',
    '{{ customer.attributes.a | upcase }}',
    '{% if customer.attributes.a %}{{ customer.lastName }}{% endif %}',
    '{{ tenant.name }}',
    ' and \r\n',
  ];
  const values = [
    null,
    '',
    ' ',
    'Ana',
    '{{ customer.email }}',
    '{% raw %}',
    '"},{"to":"+1555',
    '<b>&amp;</b>',
    'a\r\nb\u2028c\td\u0007e\ud83cf',
    '日本語 🎉',
    '\\1 $& %00',
    'x'.repeat(700),
  ];

  // The text part of mail is rendered by Liquid alone.
  it('shows what Liquid shows, cleaned', () => {
    const random = seededRandom(20261121);
    const pick = <Item>(items: readonly Item[]): Item | undefined =>
      items[Math.floor(random() * items.length)];
    const differences: unknown[] = [];
    const counts = { shown: 0, refused: 0 };
    for (let round = 0; round < 2_000; round += 1) {
      const body = `x${Array.from({ length: 1 + Math.floor(random() * 6) }, () => pick(pieces)).join(' ')}`;
      const recipient = buildRecipient({
        firstName: pick(values) ?? null,
        lastName: pick(values) ?? null,
        attributes: { a: pick(values) ?? null, list: [pick(values), 7] },
      });
      const mail = compile({ text: body }, { ...shared, unsubscribeFooter: false });
      const expected = cleaned(renderOne(mail, recipient, { at }).text);
      const shown = outcomeOf(() => compileSms({ body }, shared).render(recipient, { at }).body);
      counts[shown === null ? 'refused' : 'shown'] += 1;
      if (shown !== (expected.length > maxSmsLength ? null : expected)) {
        differences.push({ body, recipient, shown, expected });
      }
    }
    expect(differences).toEqual([]);
    expect(counts.shown).toBeGreaterThan(1_000);
    expect(counts.refused).toBeGreaterThan(20);
  });
});

/** Line breaks of all kinds are one, tabs are spaces, what else controls is gone, as are the ends. */
function cleaned(text: string): string {
  return Array.from(text.replace(/\r\n|\r|\u2028|\u2029|\u0085/g, '\n').replace(/\t/g, ' '))
    .filter((one) => one === '\n' || !/[\p{Cc}\p{Cs}]/u.test(one))
    .join('')
    .trim();
}

function outcomeOf(render: () => string): string | null {
  try {
    return render();
  } catch (error) {
    if (error instanceof RenderFailure) {
      return null;
    }
    throw error;
  }
}

describe('compileWhatsApp', () => {
  it('renders the variables of a template, each on one line', () => {
    const content = template({
      '1': '{{ customer.firstName }}',
      city: '{{ customer.attributes.city | upcase }}',
    });
    expect(whatsApp(content, { firstName: 'Ana\n\t  Lima' })).toEqual({
      kind: 'template',
      id: 'order_shipped',
      language: 'pt_BR',
      variables: { '1': 'Ana Lima', city: 'PORTO' },
    });
  });

  it('fails for a customer whose variable would be empty', () => {
    const content = template({ '1': '{{ customer.firstName }}' });
    expect(() => whatsApp(content, { firstName: null })).toThrow(
      new RenderFailure('variables.1 is empty'),
    );
  });

  it('renders a text with its line breaks', () => {
    expect(whatsApp({ kind: 'text', body: 'Hi *{{ customer.firstName }}*\nBye' })).toEqual({
      kind: 'text',
      body: 'Hi *Ana*\nBye',
    });
  });

  it('renders a caption and leaves the address of the file alone', () => {
    const url = 'https://shop.example/{{ customer.email }}.png';
    expect(whatsApp({ kind: 'media', url, caption: 'For {{ customer.firstName }}' })).toEqual({
      kind: 'media',
      url,
      caption: 'For Ana',
    });
    expect(whatsApp({ kind: 'media', url, caption: null })).toMatchObject({ caption: null });
    expect(
      whatsApp({ kind: 'media', url, caption: '{{ customer.firstName }}' }, { firstName: null }),
    ).toMatchObject({ caption: null });
  });

  it('names every variable that is wrong', () => {
    const content = template({ '1': '{{ customer.nope }}', '2': 'fine', name: ' ' });
    expect(checkWhatsApp(content)).toEqual([
      expect.objectContaining({ field: 'variables.1', line: 1, column: 4 }),
      { field: 'variables.name', line: 1, column: 1, message: 'is empty' },
    ]);
    expect(() => compileWhatsApp(content, shared)).toThrow(ContentError);
  });

  it('spends one budget on all variables of a message', () => {
    const loop = '{% for i in (1..6000) %}{% endfor %}';
    const one = template({ '1': `${loop}x` });
    expect(whatsApp(one)).toMatchObject({ variables: { '1': 'x' } });
    const many = Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`${n}`, `${loop}x`]));
    expect(() => whatsApp(template(many))).toThrow('the template takes too many steps');
  });
});
