import { Budget, MAX_UNITS, TOO_MUCH_WORK } from '../../../domain/messages/budget';
import { RenderFailure } from '../../../domain/messages/content';
import { createContext, renderNodes } from '../../../domain/messages/engine';
import { renderBatch } from '../../../domain/messages/renderBatch';
import { at, buildRecipient, compile, show } from './fixtures';

const LIST = '{% assign a = (1..1000) %}';
const OBJECTS = '{% assign a = customer.attributes.orders %}';
const TEXT = '{% assign s = customer.attributes.bio %}';
const attributes = {
  bio: 'word <b> '.repeat(800),
  orders: Array.from({ length: 300 }, (_, n) => ({ id: n, city: { name: `c${n}` } })),
  fields: Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`k${n}`, n])),
};

describe('the work of a message', () => {
  it.each([
    ['an endless range', '{% for i in (1..100000000) %}{% endfor %}'],
    ['a million rounds of nothing', million('')],
    ['a million rounds of text', million('x')],
    ['a million outputs', million('{{ customer.firstName }}')],
    ['long text, many times', million('y'.repeat(100_000))],
    ['raw text, many times', million(`{% raw %}${'y'.repeat(10_000)}{% endraw %}`)],
    ['a table', million('{% tablerow t in (1..100) cols: 2 %}x{% endtablerow %}')],
    ['lists made and thrown away', million('{% assign a = (1..1000) %}')],
    ['loops left at once', LIST + million('{% for z in a %}{% break %}{% endfor %}')],
    [
      'objects made lists',
      million('{% for z in customer.attributes.fields limit: 1 %}{% endfor %}'),
    ],
    ['sorts within loops', LIST + million('{% assign b = a | sort %}')],
    ['a condition of many words', million(`{% if ${repeat('1 == 2', ' or ')} %}{% endif %}`)],
    ['many branches', million(`{% if false %}${repeat('{% elsif false %}', '')}{% endif %}`)],
    ['many cases', million(`{% case 1 %}{% when ${repeat('2', ',')} %}{% endcase %}`)],
    ['a long cycle', million(`{% cycle ${repeat('"a"', ',')} %}`)],
    ['a chain of filters', million(`{{ 1 ${repeat('| plus: 1', ' ')} }}`)],
    ['a chain of fields', million(`{{ customer.attributes${repeat('.fields', '')} }}`)],
    ['looking into a list', LIST + million('{% if a contains 0 %}{% endif %}')],
    ['looking into a text', TEXT + million('{% if s contains "none" %}{% endif %}')],
    [
      'a long path in a filter',
      OBJECTS + million(`{% assign z = a | map: "x${repeat('.x', '')}" %}`),
    ],
    ['a range in a filter', OBJECTS + million('{% assign z = a | where: "(1..9999)", 1 %}')],
    ['numbers of dates', million('{{ "2024-02-29" | date: "%A", customer.timeZone }}')],
    ['one huge slice', TEXT + '{{ s | slice: 0, 999999999 }}'],
    ['texts that double by append', growing('{% assign a = a | append: a %}')],
    ['texts that double by replace', growing('{% assign a = a | replace: "x", a %}')],
    ['texts that double by join', growing('{% assign l = (1..9) %}{% assign a = l | join: a %}')],
    ['texts that double by capture', growing('{% capture a %}{{ a }}{{ a }}{% endcapture %}')],
    ['lists that double', growing('{% assign b = b | concat: b | push: 1 %}', 'split: "y"')],
    ['lists that hold themselves twice', growing('{% assign b = b | push: b %}', 'split: "y"')],
  ])('is refused for %s', (_what, html) => {
    expect(() => show({ html }, { attributes })).toThrow(RenderFailure);
    expect(() => show({ html }, { attributes })).toThrow(TOO_MUCH_WORK);
    const batch = renderBatch(compile({ html, text: 'Hi' }), [buildRecipient({ attributes })], {
      tokenPrefix: 'k3Jq9ZpLw2',
      at,
    });
    expect(batch.failures).toEqual([{ index: 0, message: TOO_MUCH_WORK }]);
  });

  it.each([
    'sort',
    'sort_natural',
    'uniq',
    'reverse',
    'compact',
    'sum: "id"',
    'map: "id"',
    'where: "id", 1',
    'reject: "id"',
    'group_by: "id"',
    'find: "id", -1',
    'has: "id", -1',
    'find_index: "id", -1',
    'join: ","',
    'array_to_sentence_string',
    'concat: a',
    'push: 1',
    'pop',
    'shift',
    'unshift: 1',
    'slice: 0, 99',
    'json',
    'inspect',
  ])('grows with the list that is given to %s', (filter) => {
    const html = `{% assign z = a | ${filter} %}`;
    const short = spentOn(`{% assign a = (1..10) %}${html}`) - spentOn('{% assign a = (1..10) %}');
    const long = spentOn(LIST + html) - spentOn(LIST);
    expect(long).toBeGreaterThan(short + 990 * 60);
  });

  it.each([
    'escape',
    'strip_html',
    'slugify',
    'split: ""',
    'truncate: 9',
    'sha256',
    'upcase',
    'size',
  ])('grows with the text that is given to %s', (filter) => {
    const html = `{% assign z = s | ${filter} %}`;
    const short = spentOn(`{% assign s = "x" %}${html}`) - spentOn('{% assign s = "x" %}');
    const long = spentOn(TEXT + html) - spentOn(TEXT);
    expect(long).toBeGreaterThan(short + attributes.bio.length * 2);
  });

  it.each(['where_exp', 'reject_exp', 'group_by_exp', 'has_exp', 'find_exp', 'find_index_exp'])(
    'has no place for programs in texts: %s',
    (filter) => {
      expect(() => compile({ html: `{{ customer.tags | ${filter}: "t", "t == 1" }}` })).toThrow(
        `undefined filter: ${filter}`,
      );
    },
  );

  it('leaves ordinary mail far from the limit', () => {
    const fifty = Array.from({ length: 50 }, (_, n) => `tag ${n}`);
    const values = { tags: fifty, attributes: Object.fromEntries(fifty.map((tag) => [tag, tag])) };
    const html =
      '{% for tag in customer.tags %}<li>{{ forloop.index }} {{ tag | upcase }}</li>{% endfor %}' +
      '{% for pair in customer.attributes %}<tr>{% if pair[1] != blank %}<td>{{ pair[0] }}</td>' +
      '<td>{{ pair[1] | default: "none" | truncate: 80 }}</td>{% endif %}</tr>{% endfor %}' +
      '{{ customer.tags | sort | join: ", " }}{{ "now" | date: "%d %B", customer.timeZone }}';
    expect(spentOn(html, values)).toBeLessThan(MAX_UNITS / 5);
  });

  it('is one for the parts of a message together', () => {
    const part = '{% for i in (1..7000) %}{% endfor %}';
    expect(spentOn(part)).toBeLessThan(MAX_UNITS);
    expect(show({ html: `x${part}`, text: 'Hi' }).html).toBe('x');
    expect(() => show({ subject: `x${part}`, html: `x${part}`, text: part })).toThrow(
      TOO_MUCH_WORK,
    );
  });

  it('begins anew with every recipient of a batch', () => {
    const compiled = compile({ html: '{% for i in (1..7000) %}{% endfor %}', text: 'Hi' });
    const recipients = Array.from({ length: 5 }, () => buildRecipient());
    const batch = renderBatch(compiled, recipients, { tokenPrefix: 'k3Jq9ZpLw2', at });
    expect(batch.failures).toEqual([]);
  });

  it('is refused for one large field shown in a thousand ways', () => {
    const html = Array.from(
      { length: 800 },
      (_, n) => `{{ customer.attributes.bio | default: "${n}" }}`,
    ).join('');
    const compiled = compile({ html, text: 'Hi' });
    const batch = renderBatch(compiled, [buildRecipient({ attributes })], {
      tokenPrefix: 'k3Jq9ZpLw2',
      at,
    });
    expect(batch.failures).toEqual([{ index: 0, message: TOO_MUCH_WORK }]);
  });
});

function million(body: string): string {
  return `{% for i in (1..1000) %}{% for q in (1..1000) %}${body}{% endfor %}{% endfor %}`;
}

function growing(step: string, list = 'split: ","'): string {
  const start = `{% assign a = "xxxxxxxxxx" %}{% assign b = a | ${list} %}`;
  return `${start}{% for i in (1..40) %}${step}{% endfor %}{{ a }}{{ b }}`;
}

function repeat(text: string, between: string): string {
  return Array.from({ length: 1_500 }, () => text).join(between);
}

function spentOn(html: string, changes: Parameters<typeof buildRecipient>[0] = { attributes }) {
  const { parts, shared } = compile(
    { html, text: 'Hi' },
    { trackClicks: false, trackOpens: false, unsubscribeFooter: false },
  );
  const budget = new Budget();
  const recipient = buildRecipient(changes);
  const context = createContext(parts.html.engine, { recipient, shared, at, budget });
  renderNodes(parts.html.engine, parts.html.templates, context);
  return budget.spent;
}
