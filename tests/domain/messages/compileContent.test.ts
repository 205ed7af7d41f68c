import { checkContent } from '../../../domain/messages/checkContent';
import { type Content, ContentError } from '../../../domain/messages/content';
import { renderOne } from '../../../domain/messages/renderOne';
import { at, buildRecipient, compile, show } from './fixtures';

function rendered(content: Partial<Content>) {
  const compiled = compile(content);
  return { links: compiled.links, ...renderOne(compiled, buildRecipient(), { at }) };
}

describe('tracked links', () => {
  it.each([
    [
      'double quotes',
      '<a href="https://a.example/x">x</a>',
      '<a href="https://t.example/c/tok/0">',
    ],
    [
      'single quotes',
      "<a href='https://a.example/x'>x</a>",
      "<a href='https://t.example/c/tok/0'>",
    ],
    ['no quotes', '<a href=https://a.example/x>x</a>', '<a href="https://t.example/c/tok/0">'],
    [
      'no quotes, more',
      '<a href=https://a.example/x id=1>x</a>',
      '<a href="https://t.example/c/tok/0" id=1>',
    ],
    [
      'spaces',
      '<a id="1" HREF = " https://a.example/x ">x</a>',
      'HREF = "https://t.example/c/tok/0"',
    ],
    ['an area', '<area href="https://a.example/x">', '<area href="https://t.example/c/tok/0">'],
    [
      'Liquid inside the tag',
      '<a {% if true %}class="b"{% endif %} href="https://a.example/x">x</a>',
      '<a class="b" href="https://t.example/c/tok/0">',
    ],
    [
      'Liquid around it',
      '{% if true %}<a href="https://a.example/x">x</a>{% endif %}',
      '<a href="https://t.example/c/tok/0">',
    ],
    [
      'a loop',
      '{% for t in customer.tags %}<a href="https://a.example/x">{{ t }}</a>{% endfor %}',
      '<a href="https://t.example/c/tok/0">vip</a><a href="https://t.example/c/tok/0">summer</a>',
    ],
    [
      'quotes in Liquid',
      '<b title="{{ "a\'>" }}"></b><a href="https://a.example/x">x</a>',
      '<a href="https://t.example/c/tok/0">',
    ],
  ])('replaces the target with %s', (_what, html, expected) => {
    const message = rendered({ html });
    expect(message.html).toContain(expected);
    expect(message.links).toEqual(['https://a.example/x']);
  });

  it('keeps the address as the author meant it', () => {
    const html =
      '<a href="https://a.example/?a=1&amp;b=2&x=%20y#z">1</a> <a href="HTTP://B.example">2</a>' +
      '<a href="https://a.example/?a=1&amp;b=2&x=%20y#z">again</a><a href="https://&#x61;.example/é">3</a>';
    const message = rendered({ html });
    expect(message.links).toEqual([
      'https://a.example/?a=1&b=2&x=%20y#z',
      'HTTP://B.example',
      'https://a.example/é',
    ]);
    expect(message.html).toContain('<a href="https://t.example/c/tok/0">again</a>');
    expect(message.html).toContain('<a href="https://t.example/c/tok/2">3</a>');
  });

  it.each([
    ['mail', '<a href="mailto:a@b.example">x</a>'],
    ['telephone', '<a href="tel:+123">x</a>'],
    ['an anchor', '<a href="#top">x</a>'],
    ['a relative path', '<a href="/x">x</a>'],
    ['nothing', '<a href="">x</a>'],
    ['no value', '<a href>x</a>'],
    ['another tag', '<link href="https://a.example/x"><img src="https://a.example/x">'],
    ['another attribute', '<a data-href="https://a.example/x">x</a>'],
    ['a comment', '<!-- <a href="https://a.example/x">x</a> -->'],
    ['a script', '<script>"<a href=\'https://a.example/x\'>"</script>'],
    ['plain text', 'href="https://a.example/x"'],
  ])('leaves %s alone', (_what, html) => {
    const message = rendered({ html });
    expect(message.html.startsWith(html)).toBe(true);
    expect(message.links).toEqual([]);
  });

  it('leaves what Liquid makes, and what Liquid does not read, alone', () => {
    const message = rendered({
      html:
        '<a href="https://a.example/{{ customer.externalId }}">1</a><a href="{{ links.unsubscribe }}">2</a>' +
        '{% raw %}<a href="https://a.example/{{ x }}">3</a><a href="https://a.example/y">4</a>{% endraw %}',
    });
    expect(message.links).toEqual([]);
    expect(message.html).toContain(
      '<a href="https://a.example/c-1">1</a><a href="https://t.example/u/tok">2</a>' +
        '<a href="https://a.example/{{ x }}">3</a><a href="https://a.example/y">4</a>',
    );
  });

  it('tracks nothing when not wanted', () => {
    const html = '<a href="https://a.example/x">x</a>';
    const compiled = compile(
      { html, text: 'Bye' },
      { trackClicks: false, trackOpens: false, unsubscribeFooter: false },
    );
    expect(compiled.links).toEqual([]);
    expect(renderOne(compiled, buildRecipient(), { at })).toEqual({
      subject: 'Hello',
      html,
      text: 'Bye',
    });
  });

  it('leaves addresses in the text part as they are', () => {
    const message = rendered({ html: '<p>x</p>', text: 'See https://a.example/x' });
    expect(message.text).toContain('See https://a.example/x');
  });
});

describe('additions', () => {
  const pixel = '<img src="https://t.example/o/tok" width="1" height="1" alt="">';

  it('puts the pixel and the unsubscribe line before the end of the body', () => {
    const { html } = rendered({ html: '<html><body><p>Hi</p></BODY></html>' });
    expect(html).toMatch(
      /^<html><body><p>Hi<\/p><p [^>]+><a href="https:\/\/t\.example\/u\/tok">Unsubscribe<\/a><\/p><img [^>]+><\/BODY><\/html>$/,
    );
    expect(html).toContain(pixel);
  });

  it('puts them at the end of a fragment, and where the body ends only in a branch', () => {
    expect(rendered({ html: '<p>Hi</p>' }).html.endsWith(pixel)).toBe(true);
    const branched = '<body>Hi{% if customer.tags contains "none" %}</body>{% endif %}';
    expect(rendered({ html: branched }).html.endsWith(pixel)).toBe(true);
    const commented = '<body>Hi<!-- </body> --></body>';
    expect(rendered({ html: commented }).html.endsWith(`${pixel}</body>`)).toBe(true);
  });

  it('adds no unsubscribe line where the author has one', () => {
    const { html, text } = rendered({
      html: '<p><a href="{{ links.unsubscribe }}">Stop</a></p>',
      text: 'Stop: {{ links.unsubscribe }}',
    });
    expect(html.match(/u\/tok/g)).toHaveLength(1);
    expect(text).toBe('Stop: https://t.example/u/tok');
  });

  it('adds one to the part that lacks it', () => {
    const { html, text } = rendered({
      html: '<p><a href="{{ links["unsubscribe"] }}">Stop</a></p>',
      text: 'Hello',
    });
    expect(html.match(/u\/tok/g)).toHaveLength(1);
    expect(text).toBe('Hello\n\nUnsubscribe: https://t.example/u/tok\n');
  });

  it('hides the preheader at the start of the body', () => {
    const preheader = 'For {{ customer.firstName }} & you';
    expect(rendered({ preheader, html: '<html><body class="x">Hi</body></html>' }).html).toMatch(
      /^<html><body class="x"><div style="display:none[^"]*">For Ana & you<\/div>Hi/,
    );
    expect(rendered({ preheader, html: '<p>Hi</p>' }).html).toMatch(/^<div [^>]+>For Ana/);
    expect(rendered({ preheader: ' ', html: '<p>Hi</p>' }).html).toMatch(/^<p>/);
    expect(
      rendered({ preheader, html: '<!doctype html><html><head></head>Hi</html>' }).html,
    ).toMatch(/^<!doctype html><html><head><\/head><div /);
  });

  it('derives a text part, with its links, when there is none', () => {
    expect(rendered({ html: '<p>Hi</p>', text: ' ' }).text).toMatch(/^Hi\n/);
    expect(
      rendered({
        html: '<h1>Hi {{ customer.firstName }}</h1><p><a href="https://a.example">Go</a></p>',
      }).text,
    ).toBe('Hi Ana\n\nGo (https://a.example)\n\nUnsubscribe: https://t.example/u/tok\n');
  });
});

describe('checkContent', () => {
  const problemsOf = (content: Partial<Content>) =>
    checkContent({ subject: 'Hello', html: '<p>Hello</p>', ...content });

  it('accepts every field there is', () => {
    const fields =
      'customer.firstName customer.lastName customer.email customer.phone customer.language ' +
      'customer.timeZone customer.externalId customer.tags customer.attributes.any.thing ' +
      'customer.attributes["any thing"] campaign.name tenant.name links.unsubscribe';
    const html = fields.replace(/\S+(?: thing"\])?/g, '{{ $& }}');
    expect(problemsOf({ html, subject: html, text: html, preheader: html })).toEqual([]);
  });

  it.each([
    ['an unknown filter', 'a\n {{ customer.email | shout }}', 2, 2, /undefined filter: shout/],
    ['a random filter', '{{ customer.tags | sample }}', 1, 1, /undefined filter: sample/],
    ['an unknown name', 'x {{ user.name }}', 1, 6, /unknown name "user"/],
    [
      'a misspelt field',
      '\n\n{{ customer.fristName }}',
      3,
      4,
      /unknown field "customer.fristName".*attributes.fristName/,
    ],
    ['an attribute without its place', '{{ customer.city }}', 1, 4, /customer\.attributes\.city/],
    ['a name in a condition', '{% if vip %}x{% endif %}', 1, 7, /unknown name "vip"/],
    ['a name in an argument', '{{ customer.email | append: foo }}', 1, 29, /unknown name "foo"/],
    ['internal links', '<a href="{{ links.click }}">', 1, 13, /unknown field "links.click"/],
    ['an open block', 'x{% if customer.email %}', 1, 2, /not closed/],
    ['an open output', 'x{{ customer.email', 1, 2, /not closed/],
    ['an end without a beginning', '{% endif %}', 1, 1, /endif/],
    ['an empty output', '{{ }}', 1, 4, /invalid value/],
    ['include', '{% include "x" %}', 1, 1, /tag "include" not found/],
    ['render', '{% render "x" %}', 1, 1, /tag "render" not found/],
    ['layout', '{% layout "x" %}', 1, 1, /tag "layout" not found/],
    ['an unknown tag', '{% sql %}', 1, 1, /tag "sql" not found/],
    ['assigning to our names', '{% assign customer = 1 %}', 1, 11, /"customer" cannot be assigned/],
    [
      'capturing our names',
      '{% capture links %}x{% endcapture %}',
      1,
      12,
      /"links" cannot be assigned/,
    ],
    [
      'break outside of a loop',
      'x{% if customer.email %}{% break %}{% endif %}',
      1,
      25,
      /"break" stands outside/,
    ],
    ['NUL', 'x\n\0', 2, 1, /NUL/],
    ['nothing', ' \n ', 1, 1, /is empty/],
    ['too much', 'x'.repeat(500_001), 1, 1, /longer than 500000/],
  ])('names the place of %s', (_what, html, line, column, message) => {
    const problems = problemsOf({ html });
    expect(problems).toEqual([
      { field: 'html', line, column, message: expect.stringMatching(message) },
    ]);
  });

  it('names the first problem of every part', () => {
    const problems = problemsOf({
      subject: '{{ nope }}',
      preheader: '{% if %}',
      html: '{{ customer.nope }}{{ customer.nope2 }}',
      text: '{{ "a" | nope }}',
    });
    expect(problems.map((problem) => problem.field)).toEqual([
      'subject',
      'preheader',
      'html',
      'text',
    ]);
    expect(() => compile({ subject: '{{ nope }}' })).toThrow(ContentError);
  });

  it('allows own names, loops with exits, and braces that are no Liquid', () => {
    expect(
      problemsOf({
        html:
          '{% assign x = customer.tags | first %}{{ x }}{% capture y %}{{ x }}{% endcapture %}{{ y }}' +
          '{% for t in customer.tags %}{% if t == x %}{% break %}{% endif %}{{ forloop.index }}{% endfor %}' +
          '{% increment z %}{{ z }} { } }} %} {% raw %}{{ nope }}{% endraw %}{% comment %}{{ nope }}{% endcomment %}',
      }),
    ).toEqual([]);
  });
});

describe('content made to be slow', () => {
  it.each([
    ['links in links', '<a href="https://a.example">'.repeat(9_000) + 'x</a> '.repeat(9_000)],
    ['links', '<a href="https://a.example/">x</a>'.repeat(14_000)],
    ['unclosed tags', '<a '.repeat(160_000)],
    ['quotes', '<a href="'.repeat(50_000)],
    ['braces', '{ '.repeat(240_000)],
    ['entities', '&#125;'.repeat(80_000)],
    ['outputs', '{{ customer.email | upcase }}'.repeat(1_500) + ' '.repeat(450_000)],
    [
      'names',
      `{{ customer.email${' | append: tenant.name'.repeat(2_100)} }}${' '.repeat(440_000)}`,
    ],
    ['blocks', '{% if true %}{% endif %}'.repeat(2_000)],
    ['comments', '<!--'.repeat(120_000)],
    ['spaces in attributes', `<a href${' '.repeat(490_000)}`],
  ])('takes no longer than it should for %s', (_what, html) => {
    const started = process.cpuUsage();
    compile({ html });
    expect(process.cpuUsage(started).user).toBeLessThan(3_000_000);
  });

  it.each([
    ['blocks', '{% if true %}'.repeat(101) + '{% endif %}'.repeat(101)],
    ['far more blocks', '{% if true %}'.repeat(1_400) + '{% endif %}'.repeat(1_400)],
    [
      'lines of a liquid tag',
      `{% liquid ${'if true\n'.repeat(2_000)}${'endif\n'.repeat(2_000)} %}`,
    ],
    ['a liquid tag of its own', `{% liquid ${'if true\n'.repeat(101)}${'endif\n'.repeat(101)} %}`],
    ['brackets', `{{ ${'customer['.repeat(4_000)}1${']'.repeat(4_000)} }}`],
    ['liquid tags', `{% ${'liquid '.repeat(6_000)} assign x = 1 %}`],
  ])('is refused for %s in each other', (_what, html) => {
    expect(() => compile({ html })).toThrow(/html 1:\d+: nests more than 100 deep/);
  });

  it('may nest blocks a hundred deep', () => {
    const html = '{% if true %}'.repeat(100) + 'x' + '{% endif %}'.repeat(100);
    expect(show({ html }).html).toBe('x');
  });

  it('is refused when most of it is Liquid', () => {
    expect(() => compile({ html: '{{ customer.email }}'.repeat(2_501) })).toThrow(
      /more than 50000 characters of Liquid/,
    );
    // Each of these braces has to be written as Liquid in a text part.
    const html = '&#123;'.repeat(80_000);
    expect(() => compile({ html })).toThrow(/text 1:1: cannot be derived/);
    expect(compile({ html, text: 'x' }).links).toEqual([]);
  });
});

describe('broken content', () => {
  it('is answered by a ContentError or rendered, whatever the pieces', () => {
    const pieces = [
      '<p',
      '<a href="https://a.example/',
      '">',
      '"',
      "'",
      '>',
      '</p>',
      '</a>',
      '<!--',
      '-->',
      '<body>',
      '</body>',
      '<style>',
      '</style>',
      '<![CDATA[',
      ']]>',
      '&',
      '&#123;',
      ' class="',
      '{{ customer.email }}',
      '{% if customer.email %}',
      '{% else %}',
      '{% endif %}',
      '{% for t in customer.tags %}',
      '{% endfor %}',
      '{{',
      '}}',
      '{%',
      '{% raw %}',
      '{% endraw %}',
      '{%- comment -%}',
      '{%- endcomment -%}',
      'text',
      '\n',
      '{% case customer.language %}',
      '{% when "pt" %}',
      '{% endcase %}',
      '\uE000',
      '\uE0000\uE001',
    ];
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (seed >> 8) % below;
    };
    const outcomes = { rendered: 0, refused: 0 };
    for (let round = 0; round < 8_000; round += 1) {
      const html = Array.from({ length: 1 + random(9) }, () => pieces[random(pieces.length)]).join(
        '',
      );
      try {
        rendered({ html, preheader: 'x' });
        outcomes.rendered += 1;
      } catch (error) {
        if (!(error instanceof ContentError)) {
          throw new Error(`not answered: ${JSON.stringify(html)}`, { cause: error });
        }
        outcomes.refused += 1;
      }
    }
    expect(outcomes.rendered).toBeGreaterThan(800);
    expect(outcomes.refused).toBeGreaterThan(800);
  });
});
