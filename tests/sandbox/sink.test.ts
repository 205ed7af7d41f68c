import { countRecipients } from '../../sandbox/sendgrid/countRecipients';
import { api, closeAll, mailRequest, openSandbox, sendRaw, sendTo, setFaults } from './support';

afterEach(closeAll);

const EMAIL = { email: 'ana@example.com' };

test.each([
  ['one', mailRequest(), 1],
  [
    'to, cc and bcc',
    mailRequest({ personalizations: [{ to: [EMAIL, EMAIL], cc: [EMAIL], bcc: [EMAIL] }] }),
    4,
  ],
  [
    'names first',
    mailRequest({ personalizations: [{ to: [{ name: 'A ]} "to":[{', ...EMAIL }] }] }),
    1,
  ],
  ['a value that looks like a list', mailRequest({ subject: '"to":[{"email":"x"}]' }), 1],
  [
    'reply_to and from are no recipients',
    mailRequest({ reply_to: EMAIL, reply_to_list: [EMAIL] }),
    1,
  ],
  ['nobody', mailRequest({ personalizations: [] }), 0],
])('recipients are counted by the bytes: %s', (_, request, expected) => {
  expect(countRecipients(Buffer.from(JSON.stringify(request)))).toBe(expected);
  expect(countRecipients(Buffer.from(JSON.stringify(request, null, 2)))).toBe(expected);
});

test('a sink counts and forgets', async () => {
  const sandbox = await openSandbox({ mode: 'sink' });
  const addresses = Array.from({ length: 1_000 }, (_, n) => `p${n}@example.com`);
  const answer = await sendTo(sandbox, addresses);
  expect(answer.status).toBe(202);
  expect(answer.headers.get('x-message-id')).toMatch(/^[\w-]{22}$/);
  await sendTo(sandbox, addresses);
  const stats = await api<{ firstCallAt: string; lastCallAt: string }>(sandbox, '/stats');
  expect(stats).toMatchObject({ mode: 'sink', calls: 2, accepted: 2, delivered: 2_000 });
  expect(Date.parse(stats.lastCallAt)).toBeGreaterThanOrEqual(Date.parse(stats.firstCallAt));
  expect(await api(sandbox, '/messages')).toMatchObject({ total: 0 });
  expect(await api(sandbox, '/calls')).toMatchObject({ items: [] });
});

test('faults and keys hold in a sink too', async () => {
  const sandbox = await openSandbox({ mode: 'sink' });
  await setFaults(sandbox, { rate429: 1, count: 1 });
  expect((await sendRaw(sandbox, mailRequest())).status).toBe(429);
  expect((await sendRaw(sandbox, mailRequest(), { authorization: '' })).status).toBe(401);
  expect((await sendRaw(sandbox, mailRequest())).status).toBe(202);
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 3, accepted: 1, delivered: 1 });
});

test('the mode can be changed while it runs', async () => {
  const sandbox = await openSandbox();
  await api(sandbox, '/mode', 'PUT', { mode: 'sink' });
  await sendRaw(sandbox, mailRequest());
  await api(sandbox, '/mode', 'PUT', { mode: 'inbox' });
  await sendRaw(sandbox, mailRequest());
  expect(await api(sandbox, '/messages')).toMatchObject({ total: 1 });
  expect(await api(sandbox, '/stats')).toMatchObject({ delivered: 2 });
});
