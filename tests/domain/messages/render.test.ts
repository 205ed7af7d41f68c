import {
  type Content,
  type Recipient,
  RenderFailure,
  type RenderedMessage,
} from '../../../domain/messages/content';
import {
  createBatchRenderer,
  MAX_SUBSTITUTION_BYTES,
  type RenderedBatch,
  renderBatch,
} from '../../../domain/messages/renderBatch';
import { renderOne } from '../../../domain/messages/renderOne';
import { at, buildRecipient, compile, seededRandom, show, substitute } from './fixtures';

const tokenPrefix = 'k3Jq9ZpLw2';

describe('renderOne', () => {
  it('escapes in HTML alone, unless told not to', () => {
    const template = '{{ customer.firstName }}|{{ customer.firstName | raw }}|{{ tenant.name }}';
    const firstName = `<b>"A" & 'B'</b>`;
    expect(show({ subject: template, html: template, text: template }, { firstName })).toEqual({
      subject: `${firstName}|${firstName}|Ana's <Shop>`,
      html: `&lt;b&gt;&#34;A&#34; &amp; &#39;B&#39;&lt;/b&gt;|${firstName}|Ana&#39;s &lt;Shop&gt;`,
      text: `${firstName}|${firstName}|Ana's <Shop>`,
    });
  });

  it('shows nothing for what is missing, and what the default filter says', () => {
    const html =
      '[{{ customer.firstName }}][{{ customer.attributes.none }}][{{ customer.attributes.none.deep }}]' +
      '[{{ customer.firstName | default: "friend" }}][{{ customer.attributes.newsletter }}]' +
      '[{{ customer.attributes.newsletter | default: "no" }}][{{ customer.attributes.points | default: 1 }}]';
    expect(show({ html }, { firstName: '' }).html).toBe('[][][][friend][false][no][120]');
    expect(show({ html }, { firstName: null }).html).toBe('[][][][friend][false][no][120]');
  });

  it('keeps a subject on one line', () => {
    const subject = 'Hi\r\n{{ customer.firstName }}\t!';
    expect(show({ subject }, { firstName: 'A\r\nBcc: b@c.example' }).subject).toBe(
      'Hi  A  Bcc: b@c.example !',
    );
  });

  it('takes the time it is given for now', () => {
    const html =
      '{{ "now" | date: "%Y-%m-%d %H:%M" }} {{ "today" | date: "%H", customer.timeZone }}';
    expect(show({ html }, { timeZone: 'Asia/Tokyo' }).html).toBe('2026-03-10 12:34 21');
  });

  it('reads nothing but own properties of what customers bring', () => {
    const html =
      '[{{ customer.attributes.constructor }}][{{ customer.attributes.__proto__ }}]' +
      '[{{ customer.attributes.toString }}][{{ customer["constructor"] | default: "-" }}]';
    expect(() => show({ html })).toThrow(/unknown field "customer.constructor"/);
    expect(show({ html: html.slice(0, html.lastIndexOf('[{')) }).html).toBe('[][][]');
  });

  it.each([
    ['an unknown zone', '{{ "now" | date: "%H", "Mars/Base" }}', /unknown time zone: Mars\/Base/],
    ['an exit hidden in a liquid tag', '{% liquid break %}', /outside of a loop/],
  ])('gives up on %s', (_what, html, message) => {
    expect(() => show({ html })).toThrow(message);
    expect(() => show({ html })).toThrow(RenderFailure);
  });
});

describe('renderBatch', () => {
  it('gives equal outputs of equal escaping one token', () => {
    const field = '{{ customer.firstName | default: "you" }}';
    const compiled = compile(
      { subject: field, html: `${field}${field}{{ customer.email }}`, text: `${field}${field}` },
      { trackOpens: false, unsubscribeFooter: false },
    );
    const batch = renderBatch(compiled, [buildRecipient()], { tokenPrefix, at });
    expect(batch.tokens).toHaveLength(4);
    expect(Object.keys(JSON.parse(batch.substitutions[0] ?? ''))).toEqual(batch.tokens);
    expect(batch.template.text).toBe(`${batch.tokens[3]}${batch.tokens[3]}`);
  });

  it('does not mistake an assigned value for the one before', () => {
    const compiled = compile({
      html:
        '{% assign x = "1" %}{{ x | append: customer.firstName }}{% assign x = "2" %}' +
        '{{ x | append: customer.firstName }}' +
        '{% assign x = "vip" %}{{ customer.tags | join: x }}{{ x }}',
    });
    const batch = renderBatch(compiled, [buildRecipient()], { tokenPrefix, at });
    expect(substitute(batch, 0).html).toContain('1Ana2Anavipvipsummervip');
  });

  it('needs no tokens where nothing differs', () => {
    const compiled = compile(
      { subject: '{{ campaign.name }}', html: '<p>{{ tenant.name }} {{ "x" }}</p>', text: 'Hi' },
      { trackOpens: false, unsubscribeFooter: false },
    );
    expect(renderBatch(compiled, [buildRecipient()], { tokenPrefix, at })).toEqual({
      template: {
        subject: 'Spring & Sun',
        html: '<p>Ana&#39;s &lt;Shop&gt; x</p>',
        text: 'Hi',
      },
      tokens: [],
      substitutions: ['{}'],
      singles: [],
      failures: [],
    });
  });

  it('renders those whose values are too large on their own', () => {
    const compiled = compile({ html: '<p>{{ customer.attributes.bio }}</p>', text: 'Hi' });
    const fits = buildRecipient({ attributes: { bio: 'x'.repeat(9_000) } });
    const large = buildRecipient({ attributes: { bio: 'x'.repeat(10_000) } });
    const wide = buildRecipient({ attributes: { bio: '漢'.repeat(3_300) } });
    const escaped = buildRecipient({ attributes: { bio: '"'.repeat(2_000) } });
    const batch = renderBatch(compiled, [fits, large, wide, escaped], { tokenPrefix, at });
    expect(batch.singles.map(({ index }) => index)).toEqual([1, 2, 3]);
    expect(batch.substitutions.map((json) => json === null)).toEqual([false, true, true, true]);
    expect(batch.singles[0]?.message).toEqual(renderOne(compiled, large, { at }));
    expect(Buffer.byteLength(batch.substitutions[0] ?? '')).toBeLessThanOrEqual(
      MAX_SUBSTITUTION_BYTES,
    );
  });

  it('counts the last byte', () => {
    const compiled = compile({ html: '<p>{{ customer.attributes.bio }}</p>', text: 'Hi' });
    const withBio = (bio: string) =>
      renderBatch(compiled, [buildRecipient({ attributes: { bio } })], { tokenPrefix, at });
    const room = MAX_SUBSTITUTION_BYTES - Buffer.byteLength(withBio('').substitutions[0] ?? '');
    for (const [character, bytes] of [
      ['x', 1],
      ['é', 2],
      ['漢', 3],
      ['😀', 4],
    ] as const) {
      const most = character.repeat(Math.floor(room / bytes)) + 'x'.repeat(room % bytes);
      expect(withBio(most).singles).toEqual([]);
      expect(withBio(`${most}x`).singles).toHaveLength(1);
    }
  });

  it('lets one failure harm no other recipient', () => {
    const compiled = compile({ html: '<p>{{ "now" | date: "%H", customer.timeZone }}</p>' });
    const batch = renderBatch(
      compiled,
      [buildRecipient(), buildRecipient({ timeZone: 'EST' }), buildRecipient({ timeZone: null })],
      { tokenPrefix, at },
    );
    expect(batch.failures).toEqual([{ index: 1, message: 'unknown time zone: EST' }]);
    expect(batch.substitutions.map((json) => json === null)).toEqual([false, true, false]);
  });

  it('refuses an empty subject for the recipient alone', () => {
    const compiled = compile({ subject: '{{ customer.firstName }}' });
    const nameless = buildRecipient({ firstName: ' ' });
    const batch = renderBatch(compiled, [nameless, buildRecipient()], { tokenPrefix, at });
    expect(batch.failures).toEqual([{ index: 0, message: 'the subject is empty' }]);
    expect(() => renderOne(compiled, nameless, { at })).toThrow(RenderFailure);
  });

  it.each(['', 'short', 'with space!', 'ä'.repeat(8), 'x'.repeat(65)])(
    'refuses the token prefix %j',
    (prefix) => {
      expect(() => renderBatch(compile({}), [], { tokenPrefix: prefix, at })).toThrow(RangeError);
    },
  );

  it.each(['https://t.example', 'https://t.example/?a=1&b=', 'https://t.example/"'])(
    'writes links that begin with %s as it does when it looks at each',
    (address) => {
      const compiled = compile({
        subject: '{{ customer.firstName }}: {{ links.unsubscribe }}',
        html: '<p>{{ links.unsubscribe | default: "none" }}</p><a href="https://shop.example/">Shop</a>',
        text: '{{ customer.firstName }} {{ links.unsubscribe }}',
      });
      const linkStarts = {
        click: `${address}/c/`,
        open: `${address}/o/`,
        unsubscribe: `${address}/u/`,
      };
      const links = {
        click: `${address}/c/tok`,
        open: `${address}/o/tok`,
        unsubscribe: `${address}/u/tok`,
      };
      for (const firstName of ['Ana', null, 'a"b', 'Chloé']) {
        const recipient = buildRecipient({ firstName, links });
        const [looking, told] = [{}, { linkStarts }].map((options) => {
          const renderer = createBatchRenderer(compiled, { tokenPrefix, at, ...options });
          return renderer.renderPlain(recipient, 'tok') ?? renderer.renderAny(recipient);
        });
        expect(told).toEqual(looking);
      }
    },
  );

  it('renders nobody', () => {
    const batch = renderBatch(compile({}), [], { tokenPrefix, at });
    expect(batch.substitutions).toEqual([]);
  });

  // Templates are put together at random from a seed, recipients from values that look like what
  // could go wrong. The batch reads plain fields by itself; renderOne is Liquid alone.
  it('becomes, at the provider, byte for byte what renderOne shows', () => {
    const random = seededRandom(20260310);
    const pick = <Item>(items: readonly [Item, ...Item[]]): Item =>
      items[Math.floor(random() * items.length)] ?? items[0];
    const part = (): string =>
      '{% assign who = "" %}{% assign box = "" %}' +
      Array.from({ length: 1 + Math.floor(random() * 12) }, () => pick(PIECES)).join(pick(GLUE));
    const counts = { message: 0, single: 0, failure: 0 };
    const differences: unknown[] = [];
    for (let round = 0; round < 150; round += 1) {
      const content: Content = {
        subject: `Hi ${part()}`,
        html: `<body>${part()}</body>`,
        ...(random() < 0.6 ? { text: part() } : {}),
        ...(random() < 0.5 ? { preheader: part() } : {}),
      };
      const compiled = compile(content);
      const recipients = Array.from({ length: 25 }, (_, n) => wildRecipient(n, pick));
      const batch = renderBatch(compiled, recipients, { tokenPrefix, at });
      for (const [index, recipient] of recipients.entries()) {
        const whole = outcomeOf(() => renderOne(compiled, recipient, { at }));
        for (const delivered of deliveries(batch, index)) {
          counts[delivered.kind] += 1;
          if (JSON.stringify(delivered.outcome) !== JSON.stringify(whole)) {
            differences.push({ content, recipient, delivered, whole });
          }
        }
      }
    }
    process.stdout.write(`renderBatch against renderOne: ${JSON.stringify(counts)}\n`);
    expect(differences).toEqual([]);
    expect(counts.message).toBeGreaterThan(3_000);
    expect(counts.single).toBeGreaterThan(50);
    expect(counts.failure).toBeGreaterThan(50);
  });
});

type Outcome = RenderedMessage | { failure: string };

function outcomeOf(render: () => RenderedMessage): Outcome {
  try {
    return render();
  } catch (error) {
    return { failure: error instanceof RenderFailure ? error.message : String(error) };
  }
}

/** What the provider delivers to one recipient, whichever token it happens to replace first. */
function deliveries(
  batch: RenderedBatch,
  index: number,
): { kind: 'message' | 'single' | 'failure'; outcome: Outcome }[] {
  const failure = batch.failures.find((each) => each.index === index);
  if (failure) {
    return [{ kind: 'failure', outcome: { failure: failure.message } }];
  }
  const single = batch.singles.find((each) => each.index === index);
  if (single) {
    return [{ kind: 'single', outcome: single.message }];
  }
  return [
    { kind: 'message', outcome: substitute(batch, index) },
    { kind: 'message', outcome: substitute(batch, index, (tokens) => tokens.toReversed()) },
  ];
}

const PIECES = [
  '{{ customer.firstName }}',
  '{{ customer.firstName | default: "friend" }}',
  "{{customer.lastName|default:'O\"Neil & co'}}",
  '{{- customer.lastName -}}',
  '{{ customer.email | raw }}',
  '{{ customer.phone }} {{ customer.language }} {{ customer.externalId }}',
  '{{ customer.attributes.a }}',
  '{{ customer.attributes.a | default: "<none>" }}',
  '{{ customer.attributes.b | default: 3 }}',
  '{{ customer.attributes.list }}',
  '{{ customer.attributes.list.size }}{{ customer.attributes.size }}{{ customer.attributes.first }}',
  '{{ customer.attributes.deep.er }}',
  '{{ customer.attributes["a"] }}',
  '{{ customer.attributes.missing }}',
  '{{ customer.tags }} {{ customer.tags | join: ", " }}',
  '{{ customer.firstName | upcase | append: "!" }}',
  '{{ customer.attributes.a | json }}',
  '{{ customer.attributes.since | date: "%d %B %Y" }}',
  '{{ "now" | date: "%A, %-d %b %Y %H:%M", customer.timeZone }}',
  '{{ "now" | date: "%Y" }}',
  '{{ campaign.name }} {{ tenant.name | upcase }} {{ tenant.name }}',
  '{% if customer.tags contains "vip" %}VIP {{ customer.firstName }}{% else %}you{% endif %}',
  '{% unless customer.lastName %}no name{% endunless %}',
  '{% for tag in customer.tags %}<li>{{ forloop.index }} {{ tag }}</li>{% else %}none{% endfor %}',
  '{% for i in (1..5) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}',
  '{% assign who = customer.firstName | default: "x" %}',
  '{{ who }}{{ who | size }}',
  '{% capture box %}[{{ customer.lastName }}]{% endcapture %}',
  '{{ box }}',
  '{% increment count %}{% decrement other %}',
  '{% cycle "a", "b" %}',
  '{% case customer.language %}{% when "de" %}Hallo{% when "pt" %}Olá{% else %}Hello{% endcase %}',
  '{% raw %}{{ customer.firstName }}{% endraw %}',
  '{% comment %}<a href="https://x.example">{{ customer.firstName }}</a>{% endcomment %}',
  '{% echo customer.firstName %}',
  '<a href="https://shop.example/?a=1&amp;b=2">go {{ customer.firstName }}</a>',
  "{% if customer.email %}<a href='https://shop.example/2'>two</a>{% endif %}",
  '<a href="https://shop.example/{{ customer.externalId }}">mine</a>',
  '<a href="{{ links.unsubscribe }}">stop</a>',
  '<p {% if customer.phone %}class="x"{% endif %}>text</p>',
  `-${'k3Jq9ZpLw2'.slice(0, 9)}x0-`,
  '{ {{ "{" }}{ $& $1 }}',
] as const;

const GLUE = ['', ' ', '\n', '<br>', '</p><p>', '-', '\r\n'] as const;

const TEXTS = [
  null,
  '',
  'Ana',
  ' ',
  'O\'Neil "Q" <script>alert(1)</script> & co',
  '{{ customer.email }}{% if x %}',
  "$& $1 $` $' $$",
  '-k3Jq9ZpLwx0-',
  '-otherx0- -x1-',
  'line\r\nbreak\ttab\u2028',
  'Zoë 漢字 👩‍👩‍👧 \ud800 \u0000\u0007',
  '\\n \\" \\\\',
  '&amp; &#34;',
  'x'.repeat(3_000),
  '<'.repeat(600),
] as const;

const VALUES = [
  ...TEXTS,
  0,
  -0,
  1.5,
  1e21,
  true,
  false,
  ['a', '<b>', 3],
  [],
  { er: '<deep>' },
] as const;

function wildRecipient(
  n: number,
  pick: <Item>(items: readonly [Item, ...Item[]]) => Item,
): Recipient {
  return buildRecipient({
    n,
    firstName: pick(TEXTS),
    lastName: pick(TEXTS),
    phone: pick(TEXTS),
    email: pick(TEXTS),
    language: pick(['de', 'pt', 'fr', null]),
    timeZone: pick(['Asia/Tokyo', 'America/New_York', null, 'EST']),
    externalId: pick(TEXTS),
    tags: pick([['vip', '<b>'], [], ['a', 'b', 'c']]),
    attributes: pick<Record<string, unknown>>([
      {},
      { a: pick<unknown>(VALUES), b: pick<unknown>(VALUES), list: pick<unknown>(VALUES) },
      { a: pick<unknown>(VALUES), deep: pick<unknown>(VALUES), size: 'own', since: '2024-02-29' },
      { since: pick<unknown>(VALUES), first: 'own', list: ['x', 'y'] },
    ]),
    links: {
      click: `https://t.example/c/${n}?a=1&b=2`,
      open: `https://t.example/o/${n}`,
      unsubscribe: `https://t.example/u/${n}`,
    },
  });
}
