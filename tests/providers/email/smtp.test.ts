import { api, setFaults } from '../../sandbox/support';
import { closeSmtp, oneEmail, openMailSandbox, openProvider } from './smtpSupport';

let mail: Awaited<ReturnType<typeof openMailSandbox>>;

beforeAll(async () => {
  mail = await openMailSandbox();
});
afterAll(closeSmtp);
afterEach(() => api(mail.sandbox, '/faults', 'DELETE'));

const delivered = async () => (await api<{ delivered: number }>(mail.sandbox, '/stats')).delivered;
const sendTo = (email: string) => mail.provider.send(oneEmail({ to: { email, name: null } }));

test('a message that was taken is accepted, with the name that the server gave it', async () => {
  const before = await delivered();
  const outcome = await mail.provider.send(oneEmail());
  expect(outcome).toEqual({
    kind: 'accepted',
    status: 250,
    providerMessageId: expect.stringMatching(/^[\w-]{22}$/),
  });
  expect(await delivered()).toBe(before + 1);
});

test.each([
  ['bounce', { kind: 'recipientRefused', status: 550, consequence: 'addressInvalid' }],
  ['nodomain', { kind: 'recipientRefused', status: 550, consequence: 'addressInvalid' }],
  ['unknown', { kind: 'recipientRefused', status: 550, consequence: 'addressInvalid' }],
  ['disabled', { kind: 'recipientRefused', status: 550, consequence: 'suppress' }],
  ['full', { kind: 'recipientRefused', status: 552, consequence: 'none' }],
  ['refused', { kind: 'recipientRefused', status: 550, consequence: 'none' }],
  ['block', { kind: 'messageRefused', status: 550 }],
  ['spam', { kind: 'messageRefused', status: 554 }],
  ['toobig', { kind: 'messageRefused', status: 552 }],
  ['defer', { kind: 'notSent', status: 450, retryAfterMs: 300_000 }],
  ['greylist', { kind: 'notSent', status: 451, retryAfterMs: 300_000 }],
  ['fullnow', { kind: 'notSent', status: 452, retryAfterMs: 900_000 }],
  ['broken', { kind: 'notSent', status: 451, retryAfterMs: 60_000 }],
  ['nospace', { kind: 'throttled', status: 452, retryAfterMs: 60_000 }],
  ['busy', { kind: 'throttled', status: 421, retryAfterMs: 10_000 }],
])('the answer to ana+%s@example.com is classed', async (word, expected) => {
  const before = await delivered();
  expect(await sendTo(`ana+${word}@example.com`)).toMatchObject(expected);
  expect(await delivered()).toBe(before);
  // The connection serves the next message, or another takes its place.
  expect(await sendTo('ana@example.com')).toMatchObject({ kind: 'accepted' });
});

test('the reason of a refusal is what the server said', async () => {
  expect(await sendTo('ana+bounce@example.com')).toMatchObject({
    reason: '550 5.1.1 The mailbox does not exist',
  });
});

test('what was deferred once is taken the next time', async () => {
  expect(await sendTo('eva+defer@example.com')).toMatchObject({ kind: 'notSent' });
  expect(await sendTo('eva+defer@example.com')).toMatchObject({ kind: 'accepted' });
});

test('a connection lost after the message was taken leaves it in doubt', async () => {
  const before = await delivered();
  await setFaults(mail.sandbox, { dropAfterAccept: 1, count: 1 });
  const outcome = await sendTo('ana@example.com');
  expect(outcome).toMatchObject({ kind: 'inDoubt', status: null });
  expect(await delivered()).toBe(before + 1);
});

test('a connection lost after the end of the message leaves it in doubt, taken or not', async () => {
  const before = await delivered();
  await setFaults(mail.sandbox, { dropBeforeAccept: 1, count: 1 });
  expect(await sendTo('ana@example.com')).toMatchObject({ kind: 'inDoubt', status: null });
  expect(await delivered()).toBe(before);
});

test('a server that never answers to the end of the message leaves it in doubt', async () => {
  const provider = openProvider(mail.server.port, { timeoutMs: 3_000 });
  await setFaults(mail.sandbox, { hang: true });
  expect(await provider.send(oneEmail())).toEqual({
    kind: 'inDoubt',
    status: null,
    reason: 'no answer within 3000 ms',
  });
});

test('silence past the time of a socket is a doubt too', async () => {
  const provider = openProvider(mail.server.port, { socketTimeoutMs: 3_000 });
  await setFaults(mail.sandbox, { hang: true });
  expect(await provider.send(oneEmail())).toEqual({
    kind: 'inDoubt',
    status: null,
    reason: 'ETIMEDOUT',
  });
});

test.each([
  ['421 after the message', { rate429: 1 }, { kind: 'throttled', status: 421 }],
  ['451 after the message', { rate5xx: 1 }, { kind: 'notSent', status: 451 }],
  [
    'a refusal of the content without a code',
    { refuse: { status: 554, errors: [{ message: 'Transaction failed' }] } },
    { kind: 'messageRefused', status: 554 },
  ],
  [
    'a mailbox found missing after the message',
    { refuse: { status: 550, errors: [{ message: '5.1.1 No such mailbox' }] } },
    { kind: 'recipientRefused', consequence: 'addressInvalid' },
  ],
])('%s is definite: nothing was taken', async (_, faults, expected) => {
  const before = await delivered();
  await setFaults(mail.sandbox, { ...faults, count: 1 });
  expect(await sendTo('ana@example.com')).toMatchObject(expected);
  expect(await delivered()).toBe(before);
});

test('a message larger than the server takes is refused whole', async () => {
  const html = 'x'.repeat(31 * 1024 * 1024);
  expect(await mail.provider.send(oneEmail({ html }))).toMatchObject({
    kind: 'messageRefused',
    status: 552,
  });
});

test('in a storm of faults each message is one call, and each outcome is true', async () => {
  const { sandbox, provider } = await openMailSandbox({ maxConnections: 8 });
  await setFaults(sandbox, {
    rate429: 0.1,
    rate5xx: 0.1,
    dropAfterAccept: 0.1,
    dropBeforeAccept: 0.1,
    latencyJitterMs: 5,
    seed: 'storm',
  });
  const { runId } = oneEmail().reference;
  const counts: Record<string, number> = {};
  await Promise.all(
    Array.from({ length: 400 }, async (_, n) => {
      const { kind } = await provider.send(
        oneEmail({
          to: { email: `p${n}@example.com`, name: null },
          reference: { runId, messageN: n + 1, dispatchN: 1, attempt: 1 },
        }),
      );
      counts[kind] = (counts[kind] ?? 0) + 1;
    }),
  );
  const stats = await api<{
    calls: number;
    delivered: number;
    duplicateCount: number;
    refused: Record<string, number>;
    dropped: { before: number; after: number };
  }>(sandbox, '/stats');
  expect(stats).toMatchObject({ calls: 400, duplicateCount: 0 });
  const { before, after } = stats.dropped;
  expect(counts).toEqual({
    accepted: stats.delivered - after,
    inDoubt: before + after,
    throttled: stats.refused[421],
    notSent: stats.refused[451],
  });
  expect(after).toBeGreaterThan(0);
  expect(before).toBeGreaterThan(0);
});
