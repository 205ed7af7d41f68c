import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { api, closeAll, mailRequest, openSandbox, sendRaw, sendTo } from './support';

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sandbox-journal-'));
});
afterEach(async () => {
  await closeAll();
  await rm(dataDir, { recursive: true });
});

interface List {
  total: number;
  items: { id: string; to: string; subject: string; receivedAt: string }[];
}

test('messages, counts and calls are the same after a restart', async () => {
  const first = await openSandbox({ dataDir });
  await sendTo(first, ['ana@example.com', 'bo@example.com'], {
    custom_args: { carillon_r: 'run-1' },
  });
  await sendTo(first, ['ana@example.com'], { custom_args: { carillon_r: 'run-1' } });
  const before = {
    messages: await api<List>(first, '/messages'),
    stats: await api(first, '/stats'),
  };
  await first.close();

  const second = await openSandbox({ dataDir });
  expect(await api<List>(second, '/messages')).toEqual(before.messages);
  expect(await api(second, '/stats')).toMatchObject({
    accepted: 2,
    delivered: 3,
    distinctRecipients: 2,
    duplicates: [{ to: 'ana@example.com', run: 'run-1', count: 2 }],
    firstCallAt: before.stats.firstCallAt,
  });
  const id = before.messages.items[0]?.id ?? '';
  expect(await api(second, `/messages/${id}`)).toMatchObject({
    subject: 'Hello',
    text: 'Good morning',
    from: { email: 'shop@example.com', name: 'Shop' },
  });

  await sendTo(second, ['cy@example.com']);
  const calls = await api<{ items: { n: number }[] }>(second, '/calls');
  expect(calls.items.map((call) => call.n)).toEqual([1, 2, 3]);
});

test('a line that was cut off by a crash is dropped, and the next one follows cleanly', async () => {
  const first = await openSandbox({ dataDir });
  await sendTo(first, ['ana@example.com']);
  await first.close();
  await appendFile(join(dataDir, 'requests.jsonl'), '{"n":2,"vendor":"sendgrid","mess');

  const second = await openSandbox({ dataDir });
  await sendTo(second, ['bo@example.com']);
  await second.close();

  const third = await openSandbox({ dataDir });
  const { total, items } = await api<List>(third, '/messages');
  expect(total).toBe(2);
  expect(items.map((item) => item.to)).toEqual(['bo@example.com', 'ana@example.com']);
});

test('a request is a line that holds the body as it came', async () => {
  const sandbox = await openSandbox({ dataDir });
  const body = JSON.stringify(mailRequest({ subject: 'Größe “x” \n {}' }), null, '\n  ');
  const { headers } = await sendRaw(sandbox, body);
  const journal = await readFile(join(dataDir, 'requests.jsonl'), 'utf8');
  expect(journal.trimEnd().split('\n')).toHaveLength(1);
  const line: Record<string, unknown> = JSON.parse(journal);
  expect(line).toMatchObject({ n: 1, messageId: headers.get('x-message-id') });
  expect(line.body).toEqual(JSON.parse(body));
  const { items } = await api<List>(sandbox, '/messages');
  expect(items[0]?.subject).toBe('Größe “x” \n {}');
});

test('emptying the inbox empties the journal too', async () => {
  const first = await openSandbox({ dataDir });
  await sendTo(first, ['ana@example.com']);
  await api(first, '/messages', 'DELETE');
  await sendTo(first, ['bo@example.com']);
  expect(await api(first, '/stats')).toMatchObject({ calls: 1, delivered: 1 });
  await first.close();
  const second = await openSandbox({ dataDir });
  expect((await api<List>(second, '/messages')).items.map((item) => item.to)).toEqual([
    'bo@example.com',
  ]);
});
