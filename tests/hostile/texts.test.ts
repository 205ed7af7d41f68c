import { referenceText } from '../../providers/reference';
import { smsBody, templateMessage, whatsAppBody } from '../support/campaigns';
import {
  sendToPeople,
  startHostileGround,
  type Delivered,
  type HostileGround,
  type Sent,
  type StoredPerson,
} from './ground';
import { hostilePeople, markOf, marksIn } from './people';

let ground: HostileGround;

beforeAll(async () => {
  ground = await startHostileGround();
});

afterAll(() => ground.stop());

const people = (seed: number) => hostilePeople(seed, 50);

const plainText =
  '{{ customer.firstName }}: {{ customer.attributes.note }} {{ customer.externalId }}\n.{{ customer.lastName }}';
const liquidText = [
  '{% assign who = customer.firstName | default: "You" %}{{ who | upcase }} {{ customer.tags | join: "," }}',
  '{% for item in customer.attributes.list %}[{{ item }}]{% endfor %}{{ customer.attributes.deep | json }}',
  // Too long for any text where there is one.
  '{{ customer.attributes.big }}',
].join('\n');

const ownTexts = [
  ['a text', { kind: 'text', body: plainText }],
  ['a caption', { kind: 'media', url: 'https://shop.example/a.png', caption: liquidText }],
] as const;

describe('SMS by Twilio', () => {
  test.each([
    ['plain fields', plainText, 1],
    ['Liquid', liquidText, 2],
  ])(
    'hostile values stay in their own text: %s',
    async (_what, body, seed) => {
      const sent = await sendToPeople(ground, {
        vendor: 'twilioSms',
        people: people(seed),
        campaign: smsBody({ body }),
      });
      expectEachOnce(sent, (phone) => phone);
      for (const { person, preview, delivered } of byPerson(sent)) {
        expectOwnTextAlone(person, delivered);
        expect(delivered.raw).toEqual({
          ...twilioForm(delivered),
          to: person.phone,
          from: '+15005550006',
          body: preview.body,
        });
      }
    },
    60_000,
  );
});

const twilioTemplate = (variables: Record<string, string>) =>
  templateMessage({ id: `HX${'a'.repeat(32)}`, variables });
const variables = {
  '1': '{{ customer.firstName | default: "you" }}',
  '2': '{{ customer.attributes.note }}',
  '3': '{% for item in customer.attributes.list %}[{{ item }}]{% endfor %}{{ customer.attributes.big }}',
};

describe('WhatsApp by Twilio', () => {
  test('hostile values stay in their own variables of a template', async () => {
    const sent = await sendToPeople(ground, {
      vendor: 'twilioWhatsApp',
      people: people(3),
      campaign: whatsAppBody({ message: twilioTemplate(variables) }),
    });
    expectEachOnce(sent, (phone) => `whatsapp:${phone}`);
    for (const { person, preview, delivered } of byPerson(sent)) {
      expectOwnTextAlone(person, delivered);
      expect(delivered.raw).toEqual({
        ...twilioForm(delivered),
        to: `whatsapp:${person.phone}`,
        from: 'whatsapp:+15005550006',
        contentSid: preview.message.id,
        contentVariables: preview.message.variables,
      });
    }
  });

  test.each(ownTexts)(
    'and in their own text: %s',
    async (_what, message) => {
      const sent = await sendToPeople(ground, {
        vendor: 'twilioWhatsApp',
        people: people(4),
        campaign: whatsAppBody({ message }),
      });
      expectEachOnce(sent, (phone) => `whatsapp:${phone}`);
      for (const { person, preview, delivered } of byPerson(sent)) {
        expectOwnTextAlone(person, delivered);
        expect(delivered.raw).toEqual({
          ...twilioForm(delivered),
          to: `whatsapp:${person.phone}`,
          from: 'whatsapp:+15005550006',
          body: preview.message.body ?? preview.message.caption ?? '',
          mediaUrls: preview.message.kind === 'media' ? [preview.message.url] : [],
        });
      }
    },
    60_000,
  );
});

describe('WhatsApp by Meta', () => {
  test.each([
    ['numbered', variables],
    ['named', { first: variables['1'], note: variables['2'], list: variables['3'] }],
  ])(
    'hostile values stay in their own %s variables of a template',
    async (_what, named) => {
      const sent = await sendToPeople(ground, {
        vendor: 'meta',
        people: people(5),
        campaign: whatsAppBody({ message: templateMessage({ variables: named }) }),
      });
      expectEachOnce(sent, (phone) => phone);
      for (const { person, preview, delivered } of byPerson(sent)) {
        expectOwnTextAlone(person, delivered);
        const shown: [string, string][] = Object.entries(preview.message.variables);
        expect(delivered.raw).toEqual({
          to: person.phone.slice(1),
          type: 'template',
          name: 'spring_sale',
          language: 'en',
          variables: shown.map(([name, text]) => ({ name: /^\d/.test(name) ? null : name, text })),
          callbackData: referenceOf(delivered),
        });
      }
    },
    60_000,
  );

  test.each(ownTexts)(
    'and in their own text: %s',
    async (_what, message) => {
      const sent = await sendToPeople(ground, {
        vendor: 'meta',
        people: people(6),
        campaign: whatsAppBody({ message }),
      });
      expectEachOnce(sent, (phone) => phone);
      for (const { person, preview, delivered } of byPerson(sent)) {
        expectOwnTextAlone(person, delivered);
        const { kind, body, url, caption } = preview.message;
        expect(delivered.raw).toEqual({
          to: person.phone.slice(1),
          callbackData: referenceOf(delivered),
          ...(kind === 'text'
            ? { type: 'text', body }
            : { type: 'image', link: url, caption, filename: null }),
        });
      }
    },
    60_000,
  );
});

function byPerson({ people: all, previews, delivered }: Sent) {
  const messages = new Map(
    delivered.map((message) => [message.recipient.email.replace(/^whatsapp:/, ''), message]),
  );
  return all.flatMap((person) => {
    const message = messages.get(person.phone);
    return message === undefined
      ? []
      : [{ person, preview: previews.get(person.id), delivered: message }];
  });
}

/** One message for everybody whom the preview shows one for, and none for anybody else. */
function expectEachOnce(sent: Sent, addressOf: (phone: string) => string): void {
  const { people: all, previews, delivered, counts } = sent;
  const expected = all.filter(({ id }) => previews.has(id));
  expect(delivered.map(({ recipient }) => recipient.email).toSorted()).toEqual(
    expected.map(({ phone }) => addressOf(phone)).toSorted(),
  );
  expect(expected.length).toBeGreaterThan(all.length / 2);
  expect(counts).toEqual({
    planned: all.length,
    accepted: expected.length,
    leftOut: all.length - expected.length,
  });
}

function expectOwnTextAlone({ n }: StoredPerson, message: Delivered): void {
  const marks = marksIn(JSON.stringify(message));
  expect(marks.filter((mark) => mark !== markOf(n))).toEqual([]);
}

/** All fields of a call at Twilio that hold nothing. */
function twilioForm(message: Delivered) {
  return {
    body: '',
    messagingServiceSid: null,
    mediaUrls: [],
    contentSid: null,
    contentVariables: {},
    statusCallback: expect.stringMatching(
      new RegExp(`^http://carillon\\.test/\\S+[?]k=${referenceOf(message)}$`),
    ),
  };
}

function referenceOf({ customArgs }: Delivered): string {
  const [dispatchN = 0, attempt = 0] = (customArgs['carillon_d'] ?? '').split('.').map(Number);
  return referenceText({
    runId: customArgs['carillon_r'] ?? '',
    dispatchN,
    attempt,
    messageN: Number(customArgs['carillon_m']),
  });
}
