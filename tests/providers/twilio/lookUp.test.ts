import { createSmsProvider } from '../../../providers/sms';
import type { SmsProvider } from '../../../providers/sms/types';
import { createWhatsAppProvider } from '../../../providers/whatsapp';
import { DEMO_TWILIO_ACCOUNT, type Sandbox } from '../../../sandbox';
import { api, closeAll, openSandbox, setFaults } from '../../sandbox/support';

const { accountSid, authToken } = DEMO_TWILIO_ACCOUNT;
const reference = {
  runId: '019a9d00-0000-7000-8000-00000000000a',
  dispatchN: 1,
  attempt: 1,
  messageN: 1,
};
const sender = { from: '+15005550006' };

let sandbox: Sandbox;
let sms: SmsProvider;
let calledAt: Date;

beforeEach(async () => {
  sandbox = await openSandbox();
  calledAt = new Date();
  sms = createSmsProvider({ vendor: 'twilio', ...account() });
});
afterEach(async () => {
  sms.close();
  await closeAll();
});

const account = () => ({
  accountId: 'account-of-the-test',
  accountSid,
  credentials: { authToken },
  baseUrl: sandbox.url,
  timeoutMs: 20_000,
});

const send = (to: string, body: string) =>
  sms.send({ to, sender, body, reference, statusCallbackUrl: null });
const lookUp = (to: string, body: string, changes: object = {}) =>
  sms.lookUp?.({ to, sender, body, calledAt, knownIds: [], ...changes });
const idsOfAll = async () =>
  (await api<{ items: { messageId: string }[] }>(sandbox, '/messages')).items.map(
    ({ messageId }) => messageId,
  );

test('a message whose answer was lost is found by what it says', async () => {
  await setFaults(sandbox, { dropAfterAccept: 1 });
  expect((await send('+49301234567', 'Your code is 7')).kind).toBe('inDoubt');
  const [providerMessageId] = await idsOfAll();
  expect(await lookUp('+49301234567', 'Your code is 7')).toEqual({
    kind: 'found',
    providerMessageId,
  });
});

test.each([
  ['to another', '+49307654321', 'Your code is 7', {}],
  ['from another', '+49301234567', 'Your code is 7', { sender: { from: '+15005550010' } }],
  [
    'from a pool',
    '+49301234567',
    'Your code is 7',
    { sender: { messagingServiceSid: `MG${'a'.repeat(32)}` } },
  ],
  ['of yesterday', '+49301234567', 'Your code is 7', { calledAt: new Date(Date.now() - 864e5) }],
  ['of tomorrow', '+49301234567', 'Your code is 7', { calledAt: new Date(Date.now() + 864e5) }],
])('a message %s is not taken for it', async (_, to, body, changes) => {
  await send('+49301234567', 'Your code is 7');
  expect(await lookUp(to, body, changes)).toEqual({ kind: 'notFound' });
});

test('a message of that time with another text leaves it unknown', async () => {
  await send('+49301234567', 'Your code is 7');
  expect(await lookUp('+49301234567', 'Your code is 8')).toEqual({
    kind: 'unknown',
    reason: 'a message of that time has another text',
  });
});

test('a message that still waits is not found: its absence proves nothing', async () => {
  await send('+15010000001', 'Hello');
  expect(await lookUp('+15010000001', 'Hello')).toEqual({ kind: 'notFound' });
});

test('two messages that fit are unknown, until one is known to be of another call', async () => {
  await send('+49301234567', 'Hello');
  await send('+49301234567', 'Hello');
  const [second, first] = await idsOfAll();
  expect(await lookUp('+49301234567', 'Hello')).toMatchObject({ kind: 'unknown' });
  expect(await lookUp('+49301234567', 'Hello', { knownIds: [first] })).toEqual({
    kind: 'found',
    providerMessageId: second,
  });
});

test('a vendor that does not answer leaves it unknown', async () => {
  await sandbox.close();
  expect(await lookUp('+49301234567', 'Hello')).toEqual({
    kind: 'unknown',
    reason: 'ECONNREFUSED',
  });
});

test('on WhatsApp a template is found by its recipient alone', async () => {
  const whatsapp = createWhatsAppProvider({ vendor: 'twilio', ...account() });
  const message = {
    to: '+49301234567',
    sender,
    content: {
      kind: 'template' as const,
      id: `HX${'1f'.repeat(16)}`,
      language: 'de',
      variables: {},
    },
  };
  await whatsapp.send({ ...message, reference, statusCallbackUrl: null });
  const [providerMessageId] = await idsOfAll();
  expect(await whatsapp.lookUp?.({ ...message, calledAt, knownIds: [] })).toEqual({
    kind: 'found',
    providerMessageId,
  });
  expect(await lookUp('+49301234567', '')).toEqual({ kind: 'notFound' });
  whatsapp.close();
});
