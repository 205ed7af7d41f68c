import {
  checkSms,
  checkWhatsApp,
  compileSms,
  compileWhatsApp,
} from '../../../domain/messages/compileText';
import { ContentError, type Recipient, RenderFailure } from '../../../domain/messages/content';
import { allFields } from '../../../domain/messages/neededFields';
import { maxSmsLength } from '../../../domain/messages/smsContent';
import type { WhatsAppContent } from '../../../domain/messages/whatsAppContent';
import { at, buildRecipient } from './fixtures';

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
