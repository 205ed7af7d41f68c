import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { createApp } from '../../api/app';
import { connectionLimits, createHttpServer } from '../../api/httpServer';
import { createMetrics } from '../../lib/metrics';
import { startTestApi, type TestApi } from '../support/api';
import { buildTenant } from '../support/factories';

let api: TestApi;
let server: Server;
let port: number;

// Times short enough to be waited for; nothing below depends on how long they really take.
beforeAll(async () => {
  api = await startTestApi();
  const config = { ...api.deps.config, API_BODY_TIMEOUT_MS: 300 };
  server = createHttpServer(createApp({ ...api.deps, config, metrics: createMetrics('api') }), {
    ...connectionLimits,
    headersTimeoutMs: 400,
    requestTimeoutMs: 1_500,
    checkEveryMs: 50,
    maxConnections: 5,
    maxRequestsPerConnection: 3,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = addressOf(server).port;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await api.stop();
});

function addressOf(listening: Server): AddressInfo {
  const address = listening.address();
  if (address === null || typeof address === 'string') {
    throw new Error('The server listens on no port');
  }
  return address;
}

/** Writes the parts, one each 50 ms and the last one again and again, until the server hangs up. */
async function converse(parts: readonly string[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  let heard = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    heard += chunk;
  });
  // Writing on after the server has hung up is refused; that it did is what is waited for.
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  const left = [...parts];
  const say = () => {
    const [next = ''] = left.length > 1 ? left.splice(0, 1) : left;
    socket.write(next);
  };
  await once(socket, 'connect');
  say();
  const timer = setInterval(say, 50);
  await closed;
  clearInterval(timer);
  return heard;
}

test('headers that never end are cut off with 408, while others are answered', async () => {
  const dripping = converse(['GET /health HTTP/1.1\r\nHost: a\r\n', 'X-Drip: 1\r\n']);
  const answer = await fetch(`http://127.0.0.1:${port}/health`);
  expect(answer.status).toBe(200);
  expect(await dripping).toMatch(/^HTTP\/1\.1 408 /);
});

test('a body of JSON that drips is answered 408 and hung up on; nothing is written', async () => {
  const { token, tenantId } = await buildTenant(api.deps);
  const heard = await converse([
    [
      'POST /api/v1/customers HTTP/1.1',
      'Host: a',
      `Authorization: Bearer ${token}`,
      'Content-Type: application/json',
      'Content-Length: 100000',
      '',
      '{"email":"',
    ].join('\r\n'),
    'x',
  ]);
  expect(heard).toMatch(/^HTTP\/1\.1 408 /);
  expect(heard).toContain('bodyTooSlow');
  expect(heard.toLowerCase()).toContain('connection: close');
  expect(await api.db('customers').where({ tenant_id: tenantId })).toEqual([]);
});

test('a file that drips is cut off, and nothing of it is kept', async () => {
  const { token, tenantId } = await buildTenant(api.deps);
  const heard = await converse([
    [
      'POST /api/v1/customers/upload HTTP/1.1',
      'Host: a',
      `Authorization: Bearer ${token}`,
      'Content-Type: multipart/form-data; boundary=b',
      'Content-Length: 100000',
      '',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\nemail\r\n',
    ].join('\r\n'),
    'a',
  ]);
  expect(heard).toMatch(/^HTTP\/1\.1 408 /);
  expect(await api.db('imports').where({ tenant_id: tenantId })).toEqual([]);
});

test('headers of more than 16 KiB are answered 431', async () => {
  const huge = `GET /health HTTP/1.1\r\nHost: a\r\nX-Huge: ${'x'.repeat(17 * 1024)}\r\n\r\n`;
  expect(await converse([huge, ''])).toMatch(/^HTTP\/1\.1 431 /);
});

test.each([
  ['no Host', 'GET /health HTTP/1.1\r\n\r\n'],
  [
    'two lengths',
    'POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
  ],
  [
    'a length and chunks',
    'POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
])('a request with %s is refused as malformed', async (_, request) => {
  expect(await converse([request, ''])).toMatch(/^HTTP\/1\.1 400 /);
});

test('a connection serves so many requests, and a further one is answered 503', async () => {
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
  socket.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(4));
  let heard = '';
  for await (const chunk of socket) {
    heard += chunk;
    if (heard.includes('HTTP/1.1 503 ')) {
      break;
    }
  }
  expect(heard.match(/HTTP\/1\.1 200 /g)).toHaveLength(3);
  // Said with the third one: a caller who listens opens another connection.
  expect(heard.toLowerCase()).toContain('connection: close');
});

test('connections beyond the most are closed at once, and none that is held', async () => {
  const held: net.Socket[] = [];
  try {
    for (let n = 0; n < 5; n += 1) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      held.push(socket);
      // The answer shows that the server has it; fewer may be free while earlier ones go.
      socket.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
      await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    }
    const open = held.filter((socket) => !socket.destroyed);
    expect(open.length).toBeGreaterThan(0);
    const surplus = net.connect(port, '127.0.0.1');
    surplus.on('error', () => undefined);
    surplus.resume();
    const dropped = once(server, 'drop');
    surplus.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
    await dropped;
    await once(surplus, 'close');
    expect(open.every((socket) => !socket.destroyed)).toBe(true);
  } finally {
    held.forEach((socket) => socket.destroy());
  }
});
