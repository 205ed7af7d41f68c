import { Parser } from 'htmlparser2';
import { contentBody } from '../support/campaigns';
import {
  sendToPeople,
  startHostileGround,
  withoutTokens,
  type Delivered,
  type HostileGround,
  type Sent,
  type StoredPerson,
  type Vendor,
} from './ground';
import { hostilePeople, markOf, marksIn } from './people';

let ground: HostileGround;

beforeAll(async () => {
  ground = await startHostileGround();
});

afterAll(() => ground.stop());

// Shows a value in every place that a mail has; nothing in it depends on a value but what is shown.
const plainFields = {
  subject: 'Hi {{ customer.firstName }} | {{ customer.attributes.note }}',
  preheader: '{{ customer.lastName }}',
  html: [
    '<!doctype html><html><body>',
    '<p title="{{ customer.firstName }}" lang=\'{{ customer.attributes.note }}\'>{{ customer.firstName }}</p>',
    '<ul><li>{{ customer.lastName | default: "friend" }}</li><li>{{ customer.externalId }}</li></ul>',
    '.{{ customer.attributes.note }} -{{ customer.externalId }}x0- {{ customer.email }}',
    '<a href="https://shop.example/sale?a=1&amp;b=2">Sale</a>',
    '<a href="https://shop.example/{{ customer.externalId }}">{{ customer.attributes.note }}</a>',
    '</body></html>',
  ].join('\n'),
  text: [
    'A:{{ customer.firstName }}:Z',
    '.{{ customer.attributes.note }}',
    '{{ customer.lastName }}-{{ customer.externalId }}x1-',
    '{{ links.unsubscribe }}',
  ].join('\n'),
};

// Needs Liquid for every recipient, and a call of its own for who brings much.
const liquid = {
  subject: '{{ customer.firstName | default: "You" | upcase }} & {{ tenant.name }}',
  html: [
    '<html><body>{% assign who = customer.lastName | default: "x" %}',
    '{% for tag in customer.tags %}<li>{{ forloop.index }} {{ tag }}</li>{% else %}none{% endfor %}',
    '{% for item in customer.attributes.list %}<i>{{ item }}</i>{% endfor %}',
    '{% if customer.attributes.big %}<b>{{ customer.attributes.big }}</b>{% endif %}',
    '{{ who }} {{ customer.attributes.deep.er }} {{ customer.attributes | json }}',
    '{% capture box %}[{{ customer.externalId }}]{% endcapture %}{{ box | replace: "x", "-" }}',
    '</body></html>',
  ].join('\n'),
};

const vendors = ['sendgrid', 'smtp'] as const;
const mails = [
  {
    what: 'plain fields',
    content: plainFields,
    seed: 7,
    shares: ['shared'],
    check: expectAsWritten,
  },
  { what: 'Liquid', content: liquid, seed: 8, shares: ['alone', 'shared'], check: () => undefined },
];

describe.each(vendors)('mail by %s', (vendor) => {
  test.each(mails)(
    'hostile values break nothing and reach nobody else: $what',
    async ({ content, seed, shares, check }) => {
      const sent = await sendToPeople(ground, {
        vendor,
        people: hostilePeople(seed, 60),
        campaign: { content: contentBody(content) },
      });
      expectEachOnce(sent);
      expect(waysOf(vendor, sent)).toEqual(vendor === 'smtp' ? ['alone'] : shares);
      for (const { person, delivered } of byPerson(sent)) {
        expectAsPreviewed(vendor, sent, person, delivered);
        expectOwnTextAlone(person, delivered);
        expectEnvelope(vendor, person, delivered);
        check(sent, person, delivered);
      }
    },
    60_000,
  );
});

/** In which kinds of calls the mails travelled: with others', or each in its own. */
function waysOf(vendor: Vendor, { delivered }: Sent): string[] {
  const isAlone = ({ raw }: Delivered) =>
    vendor === 'smtp' || Object.keys(raw.personalizations[0].substitutions).length === 0;
  return [...new Set(delivered.map((mail) => (isAlone(mail) ? 'alone' : 'shared')))].toSorted();
}

function byPerson({ people, delivered }: Sent) {
  const mails = new Map(delivered.map((mail) => [mail.recipient.email, mail]));
  return people.flatMap((person) => {
    const mail = mails.get(person.email);
    return mail === undefined ? [] : [{ person, delivered: mail }];
  });
}

/** One mail for everybody whom the preview shows one for, and none for anybody else. */
function expectEachOnce({ people, previews, delivered, counts }: Sent): void {
  const expected = people.filter(({ id }) => previews.has(id)).map(({ email }) => email);
  expect(delivered.map(({ recipient }) => recipient.email).toSorted()).toEqual(expected.toSorted());
  expect(counts).toEqual({
    planned: people.length,
    accepted: expected.length,
    leftOut: people.length - expected.length,
  });
}

function expectAsPreviewed(
  vendor: Vendor,
  { previews }: Sent,
  { id }: StoredPerson,
  mail: Delivered,
): void {
  const { subject, html, text } = previews.get(id);
  const body = vendor === 'smtp' ? partsOf(mail) : { html: mail.html, text: mail.text };
  // A line break is CR LF in mail.
  const travelled = (part: string) => (vendor === 'smtp' ? part.replace(/\r\n|\n/g, '\r\n') : part);
  expect({
    subject: mail.subject,
    html: withoutTokens(body.html ?? ''),
    text: withoutTokens(body.text ?? ''),
  }).toEqual({ subject, html: travelled(html), text: travelled(text) });
}

/** The parts of a mail as its bytes have them, without the help of a mail program. */
function partsOf({ raw }: Delivered): { html: string; text: string } {
  const source = raw.source.join('\r\n');
  const boundary = /\r\n boundary="([^"]+)"\r\n/.exec(source)?.[1] ?? '';
  const [, ...parts] = source.split(`--${boundary}`);
  expect(parts).toHaveLength(3);
  expect(parts[2]).toBe('--\r\n');
  const [text = '', html = ''] = parts.slice(0, 2).map((part: string, index: number) => {
    const end = part.indexOf('\r\n\r\n');
    expect(part.slice(0, end)).toBe(
      `\r\nContent-Type: text/${index === 0 ? 'plain' : 'html'}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable`,
    );
    const encoded = part.slice(end + 4, -2);
    // No line is long, and none ends in white space or holds a bare CR or LF.
    expect(
      encoded.split('\r\n').filter((line) => !/^[!-~\t ]{0,76}(?<![\t ])$/.test(line)),
    ).toEqual([]);
    return decodeQuotedPrintable(encoded);
  });
  return { text, html };
}

function decodeQuotedPrintable(encoded: string): string {
  const bytes = encoded
    .replaceAll('=\r\n', '')
    .replace(/=([\dA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

function expectOwnTextAlone({ n }: StoredPerson, mail: Delivered): void {
  const { html, text, subject, headers, to, recipient, raw } = mail;
  expect(marksIn(JSON.stringify([html, text, subject, headers, to, recipient, raw]))).toEqual([
    markOf(n),
  ]);
}

function expectEnvelope(vendor: Vendor, person: StoredPerson, mail: Delivered): void {
  const { email } = person;
  const shown = shownName(vendor, person);
  expect({ to: mail.to, cc: mail.cc, attachments: mail.attachments }).toEqual({
    to: [{ email, name: shown }],
    cc: [],
    attachments: [],
  });
  expect(mail.categories).toEqual([]);
  expect(mail.customArgs).toEqual({
    carillon_r: expect.stringMatching(/^[\da-f-]{36}$/),
    carillon_d: expect.stringMatching(/^\d+\.1$/),
    carillon_m: expect.stringMatching(/^\d+$/),
  });
  if (vendor === 'smtp') {
    expectSmtpEnvelope(person, mail);
    return;
  }
  const [personalization] = mail.raw.personalizations;
  expect(Object.keys(personalization)).toEqual(['to', 'substitutions', 'headers', 'custom_args']);
  expect(Object.keys(personalization.custom_args)).toEqual(['carillon_m']);
  expect(Object.keys(mail.headers).toSorted()).toEqual([
    'List-Unsubscribe',
    'List-Unsubscribe-Post',
  ]);
  expect(mail.headers['List-Unsubscribe']).toMatch(/^<http:\/\/carillon\.test\/t\/u\/[\w-]{46}>$/);
}

function expectSmtpEnvelope({ email }: StoredPerson, { raw }: Delivered): void {
  expect(raw.recipients).toEqual([email]);
  expect(raw.sender).toBe('shop@example.com');
  const head: string[] = raw.source.slice(0, raw.source.indexOf(''));
  expect(head.filter((line) => !/^[\t -~]{1,998}$/.test(line))).toEqual([]);
  expect(head.filter((line) => !line.startsWith(' ')).map((line) => line.split(':')[0])).toEqual([
    'From',
    'To',
    'Subject',
    'Date',
    'Message-ID',
    'List-Unsubscribe',
    'List-Unsubscribe-Post',
    'X-Carillon-Ref',
    'MIME-Version',
    'Content-Type',
  ]);
}

/** First and last name; SendGrid takes commas and semicolons for the end of an address. */
function shownName(vendor: Vendor, { firstName, lastName }: StoredPerson): string | null {
  const name = toOneLine([firstName, lastName].filter((part) => part !== null).join(' '));
  if (name === '') {
    return null;
  }
  return vendor === 'sendgrid' ? name.replace(/[;,]/g, ' ') : name;
}

/** What the template says with the values put in by hand, in a page of the same shape as anybody's. */
function expectAsWritten({ sample }: Sent, person: StoredPerson, mail: Delivered): void {
  const { firstName, lastName, externalId } = person;
  const [first, last, note] = [firstName, lastName, person.attributes.note].map(oneBreak);
  expect(mail.subject).toBe(toOneLine(`Hi ${firstName ?? ''} | ${String(person.attributes.note)}`));
  expect(oneBreak(withoutTokens(mail.text ?? ''))).toBe(
    `A:${first}:Z\n.${note}\n${last}-${oneBreak(externalId)}x1-\nhttp://carillon.test/t/u/preview`,
  );
  const page = shapeOf(oneBreak(mail.html ?? ''));
  const named = (name: string) => page.elements.filter((element) => element.name === name);
  expect(page.shape).toEqual(shapeOf(sample.html).shape);
  expect(named('p')[0]).toEqual({
    name: 'p',
    attributes: { title: first, lang: note },
    text: first,
  });
  expect(named('li').map(({ text }) => text)).toEqual([
    last === '' ? 'friend' : last,
    oneBreak(externalId),
  ]);
  expect(named('a').slice(0, 2)).toEqual([
    { name: 'a', attributes: { href: expect.stringContaining('/t/c/') }, text: 'Sale' },
    {
      name: 'a',
      attributes: { href: `https://shop.example/${oneBreak(externalId)}` },
      text: note,
    },
  ]);
}

/** A value as a mail shows it, whatever the line breaks in it were written as. */
function oneBreak(value: unknown): string {
  return typeof value === 'string' ? value.replaceAll('\r\n', '\n') : '';
}

function toOneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f]/g, ' ');
}

interface Element {
  name: string;
  attributes: Record<string, string>;
  text: string;
}

/** What a mail program makes of a page: its elements, and their order without what they say. */
function shapeOf(html: string): { shape: string[]; elements: Element[] } {
  const shape: string[] = [];
  const elements: Element[] = [];
  const open: Element[] = [];
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        const element = { name, attributes: { ...attributes }, text: '' };
        shape.push(`<${[name, ...Object.keys(attributes)].join(' ')}>`);
        elements.push(element);
        open.push(element);
      },
      ontext(text) {
        const innermost = open.at(-1);
        if (innermost !== undefined) {
          innermost.text += text;
        }
      },
      onclosetag(name) {
        shape.push(`</${name}>`);
        open.pop();
      },
      oncomment: () => shape.push('comment'),
      oncdatastart: () => shape.push('cdata'),
      onprocessinginstruction: (name) => shape.push(name),
    },
    { decodeEntities: true },
  );
  parser.write(html);
  parser.end();
  return { shape, elements };
}
