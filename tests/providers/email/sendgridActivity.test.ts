import { createSendGrid } from '../../../providers/email/sendgrid';
import { createSendGridActivity } from '../../../providers/email/sendgridActivity';
import type { Sandbox } from '../../../sandbox';
import { API_KEY, closeAll, openSandbox, setFaults } from '../../sandbox/support';

const timeoutMs = 20_000;
const runId = '019a9d00-0000-7000-8000-00000000000a';
const call = { runId, dispatchN: 7, attempt: 2 };

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox({ apiKeys: [API_KEY] });
});
afterEach(closeAll);

test('one message of a call whose answer was lost proves all of it', async () => {
  await setFaults(sandbox, { dropAfterAccept: 1 });
  expect((await send(call)).kind).toBe('inDoubt');
  expect(await lookUp(call)).toEqual({
    kind: 'found',
    providerMessageId: expect.stringMatching(/^[\w-]{22}$/),
  });
});

test.each([
  ['another run', { ...call, runId: '019a9d00-0000-7000-8000-00000000000b' }],
  ['another dispatch', { ...call, dispatchN: 72 }],
  ['another attempt', { ...call, attempt: 1 }],
])('a call of %s is not taken for it', async (_, other) => {
  await send(other);
  expect(await lookUp(call)).toEqual({ kind: 'notFound' });
});

test('an account that may not look, or looks too often, hears nothing', async () => {
  expect(await lookUp(call, 'SG.of-somebody-else')).toEqual({
    kind: 'unknown',
    reason: 'status 401: The provided authorization grant is invalid, expired, or revoked',
  });
  for (let time = 1; time <= 6; time += 1) {
    expect(await lookUp(call)).toEqual({ kind: 'notFound' });
  }
  expect(await lookUp(call)).toEqual({
    kind: 'unknown',
    reason: 'status 429: too many requests',
  });
});

test('what is not SendGrid says nothing', async () => {
  await sandbox.close();
  expect(await lookUp(call)).toEqual({ kind: 'unknown', reason: 'ECONNREFUSED' });
});

function send(reference: typeof call) {
  const provider = createSendGrid({
    accountId: 'sendgrid',
    apiKey: API_KEY,
    baseUrl: sandbox.url,
    timeoutMs,
  });
  return provider.send({
    from: { email: 'shop@example.com', name: null },
    replyTo: null,
    subject: 'Hello',
    html: '<p>Hello</p>',
    text: 'Hello',
    reference,
    recipients: ['ana', 'ben'].map((name, index) => ({
      messageN: index + 1,
      email: `${name}@example.com`,
      name: null,
      substitutionsJson: '{}',
      unsubscribeUrl: 'https://carillon.test/u',
    })),
  });
}

function lookUp(reference: typeof call, apiKey = API_KEY) {
  return createSendGridActivity({
    apiKey,
    region: 'global',
    baseUrl: sandbox.url,
    timeoutMs,
  }).lookUp(reference);
}
