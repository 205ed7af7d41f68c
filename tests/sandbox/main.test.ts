import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWebhookKeys } from '../../sandbox';
import { sendMessage } from './meta/support';
import { closeAll, eventually, mailRequest, openReceiver } from './support';

const ROOT = join(__dirname, '../..');
const children: ChildProcess[] = [];
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sandbox-main-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
  }
  await closeAll();
  await rm(dataDir, { recursive: true });
});

function run(...flags: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', 'sandbox/main.ts', ...flags], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const lines: Record<string, unknown>[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split('\n')) {
      lines.push(JSON.parse(line));
    }
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const ready = async () => {
    await eventually(() => lines.some((line) => line.url !== undefined));
    return String(lines.find((line) => line.url !== undefined)?.url);
  };
  return { child, lines, exited, ready };
}

const send = (url: string, email: string) =>
  fetch(`${url}/v3/mail/send`, {
    method: 'POST',
    headers: { authorization: 'Bearer SG.x', 'content-type': 'application/json' },
    body: JSON.stringify(mailRequest({ personalizations: [{ to: [{ email }] }] })),
  });

test('kill -9 loses no message that was answered and no event that was promised', async () => {
  const keys = createWebhookKeys();
  const receiver = await openReceiver(keys.publicKeyBase64);
  const keyFile = join(dataDir, 'key.pem');
  await writeFile(keyFile, keys.privateKeyPem);
  const flags = [
    '--port',
    '0',
    '--data-dir',
    dataDir,
    '--webhook-url',
    receiver.hook,
    '--webhook-key-file',
    keyFile,
    '--meta-webhook-url',
    `${receiver.url}/meta`,
  ];

  const first = run(...flags);
  const url = await first.ready();
  await fetch(`${url}/api/faults`, { method: 'PUT', body: '{"eventsHold":true}' });
  expect((await send(url, 'ana@example.com')).status).toBe(202);
  expect((await sendMessage({ url })).status).toBe(200);
  first.child.kill('SIGKILL');
  await first.exited;
  expect(receiver.posts).toHaveLength(0);

  const second = run(...flags);
  const again = await second.ready();
  const found = await fetch(`${again}/api/messages`);
  expect(await found.json()).toMatchObject({
    total: 2,
    items: [{ to: '+49301234567' }, { to: 'ana@example.com' }],
  });
  const told = (path: string) => receiver.requests.filter(({ url: asked }) => asked === path);
  await eventually(() => receiver.events().length === 2 && told('/meta').length === 2);
  expect(receiver.posts.every((post) => post.signed)).toBe(true);

  second.child.kill('SIGTERM');
  expect(await second.exited).toBe(0);
});

test('it goes when the process that started it is gone', async () => {
  const parent = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    stdio: 'ignore',
  });
  children.push(parent);
  const sandbox = run('--port', '0', '--parent-pid', String(parent.pid));
  await sandbox.ready();
  parent.kill('SIGKILL');
  expect(await sandbox.exited).toBe(0);
});

test('a port in use is answered by one sentence', async () => {
  const first = run('--port', '0');
  const port = new URL(await first.ready()).port;
  const second = run('--port', port);
  expect(await second.exited).toBe(1);
  expect(second.lines).toMatchObject([{ msg: expect.stringContaining(`port ${port} is in use`) }]);
});

test('wrong flags are answered by one sentence', async () => {
  const sandbox = run('--port', 'x', '--mode', 'y');
  expect(await sandbox.exited).toBe(1);
  expect(sandbox.lines).toMatchObject([{ msg: expect.stringMatching(/--port.*--mode/) }]);
});
