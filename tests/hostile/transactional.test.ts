import { ensureStandingWork } from '../../workers/schedules';
import { dataOf } from '../support/campaigns';
import { until } from '../support/conditions';
import {
  inTurn,
  readInbox,
  startHostileGround,
  writePeople,
  type Delivered,
  type HostileGround,
  type StoredPerson,
  type Vendor,
} from './ground';
import { hostilePeople, markOf, marksIn } from './people';

let ground: HostileGround;

beforeAll(async () => {
  ground = await startHostileGround();
  await ensureStandingWork(ground.campaigns.temporal.client);
});

afterAll(() => ground.stop());

const mail = {
  channel: 'email',
  from: { email: 'shop@example.com', name: 'Bells & Co' },
  content: {
    subject: '{{ data.note }} {{ customer.firstName }}',
    html: '<p title="{{ data.note }}">{{ customer.firstName }} {{ data.list[0] }}</p>',
    text: '.{{ data.note }}\n{{ customer.firstName }} {{ data.list[0] }}',
  },
};

describe.each(['sendgrid', 'smtp'] as const)('single mails by %s', (vendor) => {
  test('say what they were given, each to the one who waits for it', async () => {
    const { people, delivered } = await sendToEach(vendor, mail);
    expect(delivered.map(({ recipient }) => recipient.email).toSorted()).toEqual(
      people.map(({ email }) => email).toSorted(),
    );
    for (const { person, message } of byAddress(people, delivered, ({ email }) => email)) {
      const [first, note, item] = [person.firstName ?? '', noteOf(person), itemOf(person)];
      expect(oneBreak(message.html)).toBe(
        oneBreak(`<p title="${escaped(note)}">${escaped(first)} ${escaped(item)}</p>`),
      );
      expect(oneBreak(message.text)).toBe(oneBreak(`.${note}\n${first} ${item}`));
      expect(message.subject).toBe(toOneLine(`${note} ${first}`));
      expectOwnAlone(person, message);
      expect(message.to).toHaveLength(1);
      expect(Object.keys(message.headers).filter((name) => /list|bcc|cc/i.test(name))).toEqual([]);
    }
  });
});

describe.each([
  ['twilioSms', 'sms', { body: '{{ data.note }} {{ customer.firstName }}' }],
  ['meta', 'whatsapp', { kind: 'text', body: '{{ data.note }} {{ customer.firstName }}' }],
] as const)('single messages by %s', (vendor, channel, content) => {
  test('say what they were given, each to the one who waits for it', async () => {
    const { people, delivered } = await sendToEach(vendor, { channel, content });
    expect(delivered.map(({ recipient }) => recipient.email).toSorted()).toEqual(
      people.map(({ phone }) => phone).toSorted(),
    );
    for (const { person, message } of byAddress(people, delivered, ({ phone }) => phone)) {
      expectOwnAlone(person, message);
      expect(message.raw.body).toContain(markOf(person.n));
    }
  });
});

async function sendToEach(vendor: Vendor, message: object) {
  const { api } = ground;
  const { tenant, people } = await writePeople(ground, { vendor, people: hostilePeople(9, 40) });
  const { token } = tenant;
  const ids = await inTurn(people, async (person) => {
    const json = {
      ...message,
      to: { customerId: person.id },
      data: { note: noteOf(person), list: person.attributes.list },
    };
    return String(dataOf(await api.send('post', '/api/v1/messages', { token, json }), 202).id);
  });
  await inTurn(ids, (id) =>
    until('the message to be accepted', async () => {
      const { body } = await api.send('get', `/api/v1/messages/${id}`, { token });
      return body.data.state === 'accepted';
    }),
  );
  return { people, delivered: await readInbox(ground, tenant) };
}

function byAddress(
  people: StoredPerson[],
  delivered: Delivered[],
  addressOf: (person: StoredPerson) => string,
) {
  return people.flatMap((person) =>
    delivered
      .filter(({ recipient }) => recipient.email === addressOf(person))
      .map((message) => ({ person, message })),
  );
}

function expectOwnAlone({ n }: StoredPerson, message: Delivered): void {
  expect(marksIn(JSON.stringify(message))).toEqual([markOf(n)]);
}

function noteOf({ attributes }: StoredPerson): string {
  return String(attributes.note);
}

function itemOf({ attributes }: StoredPerson): string {
  return Array.isArray(attributes.list) ? String(attributes.list[0]) : '';
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&#34;')
    .replaceAll("'", '&#39;');
}

function toOneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f]/g, ' ');
}

// A line break is CR LF in mail, whatever it was written as.
function oneBreak(text: string | null): string {
  return (text ?? '').replaceAll('\r\n', '\n');
}
