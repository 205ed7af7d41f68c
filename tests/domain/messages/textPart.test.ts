import { deriveText } from '../../../domain/messages/textPart';
import { show } from './fixtures';

describe('deriveText', () => {
  it.each([
    ['words', ' Hello \n\t big   <b>world</b>! ', 'Hello big world!'],
    ['paragraphs', '<p>One</p><p>Two</p>', 'One\n\nTwo'],
    ['headings', '<h1>Title</h1>text<div>block</div>', 'Title\n\ntext\nblock'],
    ['line breaks', 'a<br>b<br/><br>c', 'a\nb\n\nc'],
    ['lists', '<ul><li>a</li><li>b</li></ul>c', '- a\n- b\n\nc'],
    ['tables', '<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>', 'a b\nc'],
    [
      'links',
      '<a href="https://a.example/?x=1&amp;y=2">Go <b>on</b></a>.',
      'Go on (https://a.example/?x=1&y=2).',
    ],
    [
      'links that show their target',
      '<a href="https://a.example">https://a.example</a>',
      'https://a.example',
    ],
    [
      'links of pictures',
      '<a href="https://a.example"><img src="x" alt="Logo"></a>',
      'Logo (https://a.example)',
    ],
    ['links within the page', '<a href="#top">Top</a> <a>none</a>', 'Top none'],
    ['mail links', '<a href="mailto:a@b.example">Write</a>', 'Write'],
    ['entities', 'a&nbsp;&amp;&lt;b&gt; &eacute;', 'a\u00a0&<b> é'],
    [
      'what is not shown',
      '<head><title>t</title><style>p{}</style></head><script>x</script>a<!-- c -->',
      'a',
    ],
    ['unclosed tags', '<p>a<p>b<div>c', 'a\n\nb\n\nc'],
    ['nothing', '<img src="x">', ''],
  ])('shows %s', (_what, html, expected) => {
    expect(deriveText(html)).toBe(expected);
  });

  it('keeps Liquid in words and targets', () => {
    expect(
      deriveText(
        '<p>Hi {{ customer.firstName }},</p><a href="https://a.example/{{ customer.externalId }}">go</a>' +
          '<a href="{{ links.unsubscribe }}">stop</a>',
      ),
    ).toBe(
      'Hi {{ customer.firstName }},\n\ngo (https://a.example/{{ customer.externalId }})stop ({{ links.unsubscribe }})',
    );
  });

  it('keeps every tag, wherever it stands', () => {
    const html =
      '<head><style>{% assign a = "1" %}.x{ {{ a }} }</style></head>' +
      '<p {% if customer.email %}class="x"{% endif %}>{{ a }}</p>' +
      '<!-- {% assign b = "2" %}{{ b }} --><a href="#{% if true %}x{% endif %}">{{ b }}</a>';
    const text = deriveText(html);
    expect(text.match(/\{%/g)).toHaveLength(6);
    expect(show({ html, text }).text.trim()).toBe('1\n\n2');
  });

  it.each([
    ['shown', 'vip', 'A\n\nVIP\n\nB'],
    ['not shown', 'none', 'A\n\nB'],
  ])('leaves no gap for a block that is %s', (_what, tag, expected) => {
    const html = `<p>A</p>{% if customer.tags contains "${tag}" %}<p>VIP</p>{% endif %}<p>B</p>`;
    expect(show({ html, text: deriveText(html) }).text).toBe(expected);
  });

  it.each([
    ['vip', 'A\n\nx y'],
    ['none', 'A\n\nz y'],
  ])('separates branches that begin with words', (tag, expected) => {
    const html = `<p>A</p>{% if customer.tags contains "${tag}" %}x{% else %}z{% endif %} y`;
    expect(show({ html, text: deriveText(html) }).text).toBe(expected);
  });

  it('gives each turn of a loop its line', () => {
    const html =
      '<p>A</p><ul>{% for t in customer.tags %}<li>{{ t }}</li>{% endfor %}</ul><p>B</p>';
    expect(show({ html, text: deriveText(html) }).text).toBe('A\n\n- vip\n- summer\n\nB');
  });

  it('lets no braces of text become Liquid', () => {
    const html = '&#123;&#123; 7 | plus: 1 }} {<b>{ 7 }}</b> {&#37; if %} { } {x}';
    expect(show({ html, text: deriveText(html) }).text).toBe(
      '{{ 7 | plus: 1 }} {{ 7 }} {% if %} { } {x}',
    );
  });

  it('is not confused by private-use characters', () => {
    const html = 'a\uE0000\uE001b{{ customer.firstName }}';
    expect(show({ html, text: deriveText(html) }).text).toBe('a0bAna');
  });
});
