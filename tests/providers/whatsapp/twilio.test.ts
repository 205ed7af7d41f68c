import { createWhatsAppProvider } from '../../../providers/whatsapp';
import type { WhatsAppContent, WhatsAppSender } from '../../../providers/whatsapp/types';
import { DEMO_TWILIO_ACCOUNT, type Sandbox } from '../../../sandbox';
import { api, closeAll, openSandbox } from '../../sandbox/support';

const contentSid = `HX${'1f'.repeat(16)}`;
const pool = { messagingServiceSid: `MG${'a'.repeat(32)}` };

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});
afterEach(closeAll);

async function sent(content: WhatsAppContent, sender: WhatsAppSender = { from: '+15005550006' }) {
  const { accountSid, authToken } = DEMO_TWILIO_ACCOUNT;
  const provider = createWhatsAppProvider({
    vendor: 'twilio',
    accountId: 'account-of-the-test',
    accountSid,
    credentials: { authToken },
    baseUrl: sandbox.url,
    timeoutMs: 20_000,
  });
  const outcome = await provider.send({
    to: '+49301234567',
    sender,
    content,
    reference: {
      runId: '019a9d00-0000-7000-8000-00000000000a',
      dispatchN: 1,
      attempt: 1,
      messageN: 1,
    },
    statusCallbackUrl: null,
  });
  provider.close();
  expect(outcome.kind).toBe('accepted');
  const { items } = await api<{ items: { id: string }[] }>(sandbox, '/messages');
  const { raw } = await api<{ raw: Record<string, unknown> }>(sandbox, `/messages/${items[0]?.id}`);
  return raw;
}

test('a text goes as it is', async () => {
  const body = 'Grüß dich, {{1}} & "Ana"\n🔔 +1';
  expect(await sent({ kind: 'text', body })).toMatchObject({
    to: 'whatsapp:+49301234567',
    from: 'whatsapp:+15005550006',
    body,
    contentSid: null,
    mediaUrls: [],
  });
});

test('a template goes by its id and variables, and without a text', async () => {
  const variables = { 1: 'Ana "the boss" \\ Müller', 2: '{"1":"x"}' };
  expect(await sent({ kind: 'template', id: contentSid, language: 'de', variables })).toMatchObject(
    {
      body: '',
      contentSid,
      contentVariables: variables,
    },
  );
});

test.each([
  ['A picture', 'A picture'],
  [null, ''],
])('media go by their address, with the caption %p', async (caption, body) => {
  const url = 'https://media.example/a?b=1&c=%20';
  expect(await sent({ kind: 'media', url, caption })).toMatchObject({ body, mediaUrls: [url] });
});

test('a pool is named as it is', async () => {
  expect(await sent({ kind: 'text', body: 'Hello' }, pool)).toMatchObject({
    from: null,
    messagingServiceSid: pool.messagingServiceSid,
  });
});
