import { createWhatsAppProvider } from '../../../providers/whatsapp';
import type { WhatsAppContent } from '../../../providers/whatsapp/types';
import { DEMO_META_ACCOUNT, type Sandbox } from '../../../sandbox';
import { api, closeAll, openSandbox } from '../../sandbox/support';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});
afterEach(closeAll);

async function send(content: WhatsAppContent) {
  const { phoneNumberId, accessToken } = DEMO_META_ACCOUNT;
  const provider = createWhatsAppProvider({
    vendor: 'meta',
    accountId: 'account-of-the-test',
    phoneNumberId,
    accessToken,
    baseUrl: sandbox.url,
    timeoutMs: 20_000,
  });
  const outcome = await provider.send({
    to: '+49301234567',
    sender: { from: '+15005550006' },
    content,
    reference: {
      runId: '019a9d00-0000-7000-8000-00000000000a',
      dispatchN: 1,
      attempt: 2,
      messageN: 3,
    },
    statusCallbackUrl: null,
  });
  provider.close();
  return outcome;
}

async function sent(content: WhatsAppContent) {
  expect((await send(content)).kind).toBe('accepted');
  const { items } = await api<{ items: { id: string }[] }>(sandbox, '/messages');
  const { raw } = await api<{ raw: Record<string, unknown> }>(sandbox, `/messages/${items[0]?.id}`);
  return raw;
}

test('a text goes as it is, with our reference', async () => {
  const body = 'Grüß dich, {{1}} & "Ana"\n🔔 +1';
  expect(await sent({ kind: 'text', body })).toEqual({
    to: '49301234567',
    type: 'text',
    body,
    callbackData: '019a9d00-0000-7000-8000-00000000000a.1.2.3',
  });
});

test.each([
  ['none', {}, []],
  [
    'numbered ones by their place',
    { 10: 'j', 2: 'b "x" \\', 1: 'a' },
    [
      ['a', null],
      ['b "x" \\', null],
      ['j', null],
    ],
  ],
  [
    'named ones by their name',
    { name: 'Ana', '1st': 'x' },
    [
      ['Ana', 'name'],
      ['x', '1st'],
    ],
  ],
])(
  'a template goes by its name and language, with its variables: %s',
  async (_, given, expected) => {
    const variables: Record<string, string> = given;
    expect(
      await sent({ kind: 'template', id: 'parcel', language: 'pt-BR', variables }),
    ).toMatchObject({
      type: 'template',
      name: 'parcel',
      language: 'pt_BR',
      variables: expected.map(([text, name]) => ({ name, text })),
    });
  },
);

test.each([
  ['https://media.example/a.JPG?b=1&c=%20', 'Look', 'image', null],
  ['https://media.example/a.mp4', null, 'video', null],
  ['https://media.example/a.mp3', null, 'audio', null],
  ['https://media.example/a.mp3', 'A song', 'document', 'a.mp3'],
  ['https://media.example/Price%20list.pdf', 'Prices', 'document', 'Price list.pdf'],
  ['https://media.example/%E0%A4%A', null, 'document', '%E0%A4%A'],
  ['https://media.example/', null, 'document', null],
  ['https://media.example/constructor', null, 'document', 'constructor'],
])('media at %s go by their address, captioned %p, as %s', async (url, caption, type, filename) => {
  expect(await sent({ kind: 'media', url, caption })).toMatchObject({
    type,
    link: url,
    caption,
    filename,
  });
});

test('a template that was not approved in this language is refused for everybody', async () => {
  await api(sandbox, '/meta/templates', 'PUT', [
    { name: 'parcel', language: 'de', body: 'Hallo {{1}}' },
  ]);
  const parcel = (language: string, variables: Record<string, string>) =>
    send({ kind: 'template', id: 'parcel', language, variables });
  expect(await parcel('en', { 1: 'Ana' })).toMatchObject({
    kind: 'messageRefused',
    status: 404,
    reason: expect.stringMatching(/^132001 /),
  });
  expect(await parcel('de', {})).toMatchObject({ kind: 'messageRefused', status: 400 });
  expect((await parcel('de', { 1: 'Ana' })).kind).toBe('accepted');
});

test('there is no look-up: nobody can be asked', () => {
  const provider = createWhatsAppProvider({
    vendor: 'meta',
    accountId: 'account-of-the-test',
    phoneNumberId: '1',
    accessToken: 'x',
    timeoutMs: 1_000,
  });
  expect('lookUp' in provider).toBe(false);
  provider.close();
});
