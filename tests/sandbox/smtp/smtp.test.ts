import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { Sandbox } from '../../../sandbox';
import { api, closeAll, eventually, openSandbox, setFaults } from '../support';

afterEach(closeAll);

const SOURCE = [
  'From: "Shop" <shop@example.com>',
  'To: Ana <ana@example.com>',
  'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=',
  'X-Carillon-Ref: 019a1b2c3d4e7f508a61728394a5b6c7.2n9c.26.2',
  'List-Unsubscribe:',
  ' <https://example.com/u>',
  'Content-Type: text/html; charset=utf-8',
  'Content-Transfer-Encoding: 8bit',
  '',
  '<p>Zoë, <a href="https://example.com/a">look</a></p>',
  '..',
  '',
].join('\r\n');

/** Hands a mail over as any client would; resolves with the server's answer. */
async function hand(
  sandbox: Sandbox,
  {
    to = ['ana@example.com'],
    source = SOURCE,
    patienceMs = 20_000,
  }: { to?: string[]; source?: string; patienceMs?: number } = {},
): Promise<string> {
  const connection = new SMTPConnection({
    host: '127.0.0.1',
    port: sandbox.smtp?.port,
    ignoreTLS: true,
    socketTimeout: patienceMs,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      connection.on('error', reject);
      connection.connect((error) => (error ? reject(error) : resolve()));
    });
    return await new Promise((resolve) => {
      connection.send({ from: 'bounces@example.com', to }, source, (error, info) =>
        resolve(error === null ? info.response : (error.response ?? `none: ${error.code}`)),
      );
    });
  } finally {
    connection.close();
  }
}

const openWithMail = (options = {}) => openSandbox({ smtp: { port: 0 }, ...options });

test('without being asked for there is no mail server', async () => {
  expect((await openSandbox()).smtp).toBeNull();
});

test('a mail is taken, counted and shown as its recipient has it', async () => {
  const sandbox = await openWithMail();
  const answer = await hand(sandbox, { to: ['ana@example.com', 'ben@example.com'] });
  expect(answer).toMatch(/^250 2\.0\.0 OK: queued as [\w-]{22}$/);
  const messageId = answer.slice(-22);

  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 1, accepted: 1, delivered: 2 });
  expect(await api(sandbox, '/calls')).toMatchObject({
    items: [{ vendor: 'smtp', status: 250, recipients: 2, messageId }],
  });
  const run = '019a1b2c-3d4e-7f50-8a61-728394a5b6c7';
  expect(await api(sandbox, `/messages?run=${run}&to=ana@example.com`)).toMatchObject({
    total: 1,
    items: [{ id: `${messageId}.0`, subject: 'Grüße', outcome: 'delivered' }],
  });
  expect(await api(sandbox, `/messages/${messageId}.0`)).toMatchObject({
    recipient: { email: 'ana@example.com', name: 'Ana' },
    from: { email: 'shop@example.com', name: 'Shop' },
    html: '<p>Zoë, <a href="https://example.com/a">look</a></p>\n..\n',
    text: null,
    links: [{ url: 'https://example.com/a', text: 'look' }],
    headers: { 'List-Unsubscribe': '<https://example.com/u>' },
    customArgs: { carillon_r: run, carillon_d: '78.2', carillon_m: '123456' },
    raw: {
      sender: 'bounces@example.com',
      recipients: ['ana@example.com', 'ben@example.com'],
      source: expect.arrayContaining([
        'X-Carillon-Ref: 019a1b2c3d4e7f508a61728394a5b6c7.2n9c.26.2',
      ]),
    },
  });
  const page = await fetch(`${sandbox.url}/messages/${messageId}.1`);
  expect(await page.text()).toContain('Grüße');
});

test('the same message for the same person twice is found', async () => {
  const sandbox = await openWithMail();
  await hand(sandbox);
  await hand(sandbox);
  expect(await api(sandbox, '/stats')).toMatchObject({
    duplicateCount: 1,
    duplicates: [{ to: 'ana@example.com', count: 2 }],
  });
});

test('a sink counts and keeps nothing', async () => {
  const sandbox = await openWithMail({ mode: 'sink' });
  await Promise.all([hand(sandbox), hand(sandbox), hand(sandbox)]);
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 3, accepted: 3, delivered: 3 });
  expect(await api(sandbox, '/messages')).toMatchObject({ total: 0 });
  await setFaults(sandbox, { rate5xx: 1, match: 'X-Carillon-Ref' });
  expect(await hand(sandbox)).toMatch(/^451 4\.3\.0/);
});

test('faults meet the messages they are meant for', async () => {
  const sandbox = await openWithMail();
  await setFaults(sandbox, { rate429: 1, match: 'X-Carillon-Ref', count: 1 });
  expect(await hand(sandbox, { source: 'Subject: other\r\n\r\nbody' })).toMatch(/^250/);
  expect(await hand(sandbox)).toMatch(/^421 4\.7\.0/);
  expect(await hand(sandbox)).toMatch(/^250/);
  await setFaults(sandbox, { dropAfterAccept: 1, count: 1 });
  expect(await hand(sandbox)).toBe('none: ECONNECTION');
  await setFaults(sandbox, { dropBeforeAccept: 1, count: 1 });
  expect(await hand(sandbox)).toBe('none: ECONNECTION');
  await setFaults(sandbox, { rejectRecipients: ['ANA@example.com'] });
  expect(await hand(sandbox)).toMatch(/^550 5\.1\.1/);
  expect(await api(sandbox, '/stats')).toMatchObject({
    calls: 6,
    accepted: 3,
    delivered: 3,
    refused: { 421: 1, 550: 1 },
    dropped: { before: 1, after: 1 },
  });
});

test('latency delays the answer, not the acceptance', async () => {
  const sandbox = await openWithMail();
  await setFaults(sandbox, { latencyMs: 300 });
  const started = performance.now();
  await hand(sandbox);
  expect(performance.now() - started).toBeGreaterThanOrEqual(290);
});

test('who leaves before the answer has left, though the mail is there', async () => {
  const sandbox = await openWithMail();
  await setFaults(sandbox, { latencyMs: 5_000 });
  expect(await hand(sandbox, { patienceMs: 2_000 })).toBe('none: ETIMEDOUT');
  await eventually(async () => {
    const { dropped } = await api<{ dropped: { aborted: number } }>(sandbox, '/stats');
    return dropped.aborted === 1;
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ accepted: 1, delivered: 1 });
});

test('who closes it is not kept by a client that hangs', async () => {
  const sandbox = await openWithMail();
  await setFaults(sandbox, { hang: true });
  const answer = hand(sandbox);
  await eventually(async () => {
    const { dropped } = await api<{ dropped: { hung: number } }>(sandbox, '/stats');
    return dropped.hung === 1;
  });
  await sandbox.close();
  expect(await answer).toBe('none: ECONNECTION');
});

test('mail from before a restart is there again', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandbox-smtp-'));
  try {
    const first = await openWithMail({ dataDir });
    await hand(first);
    await first.close();
    const second = await openWithMail({ dataDir });
    expect(await api(second, '/messages')).toMatchObject({
      total: 1,
      items: [{ to: 'ana@example.com', subject: 'Grüße' }],
    });
    await closeAll();
  } finally {
    await rm(dataDir, { recursive: true });
  }
});

test('a port in use is told', async () => {
  const sandbox = await openWithMail();
  await expect(openSandbox({ smtp: { port: sandbox.smtp?.port ?? 0 } })).rejects.toThrow(/in use/);
});
