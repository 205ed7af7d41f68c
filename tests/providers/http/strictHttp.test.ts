import { createServer, type RequestListener, type Server } from 'node:http';
import {
  NeverLeft,
  readAnswer,
  StrictHttp,
  UnreadableAnswer,
  VendorReply,
} from '../../../providers/http/strictHttp';
import { eventually } from '../../sandbox/support';

const servers: Server[] = [];
const clients: StrictHttp[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) {
    client.close();
  }
  await Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    }),
  );
});

async function serve(listener: RequestListener) {
  const server = createServer(listener);
  // Idle connections are the client's to end.
  server.keepAliveTimeout = 0;
  servers.push(server);
  let connections = 0;
  let open = 0;
  server.on('connection', (socket) => {
    connections += 1;
    open += 1;
    socket.on('close', () => (open -= 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { url: new URL(`http://127.0.0.1:${port}/`), counts: () => ({ connections, open }) };
}

function client(timeoutMs = 20_000, idleMs?: number): StrictHttp {
  const made = new StrictHttp(timeoutMs, idleMs);
  clients.push(made);
  return made;
}

const post = (http: StrictHttp, url: URL, body = '{"a":"ü"}') =>
  http.call({ method: 'POST', url, headers: { 'X-Own': '1' }, body });

test('a call is made once, with its body whole and its headers', async () => {
  const asked: unknown[] = [];
  const { url } = await serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, headers } = request;
      asked.push([
        method,
        headers['x-own'],
        headers['content-length'],
        String(Buffer.concat(chunks)),
      ]);
      response.writeHead(200, { 'x-said': 'yes' }).end('{"ok":true}');
    });
  });
  const answer = await post(client(), url);
  expect(asked).toEqual([['POST', '1', '10', '{"a":"ü"}']]);
  expect(answer).toMatchObject({ status: 200, headers: { 'x-said': 'yes' } });
  expect(readAnswer(answer)).toEqual({ ok: true });
});

test('a connection is kept for the next call, and ended when nobody needs it', async () => {
  const { url, counts } = await serve((_, response) => response.end('{}'));
  const http = client(20_000, 50);
  await post(http, url);
  await post(http, url);
  expect(counts().connections).toBe(1);
  await eventually(() => counts().open === 0);
  expect((await post(http, url)).status).toBe(200);
});

test('an answer may take longer than a connection may be idle', async () => {
  const { url } = await serve((_, response) => {
    setTimeout(() => response.end('{}'), 250);
  });
  expect((await post(client(20_000, 20), url)).status).toBe(200);
});

test('a redirect is an answer, and not followed', async () => {
  let calls = 0;
  const { url } = await serve((_, response) => {
    calls += 1;
    response.writeHead(307, { location: '/' }).end();
  });
  const answer = await post(client(), url);
  expect([answer.status, calls]).toEqual([307, 1]);
  expect(() => readAnswer(answer)).toThrow(VendorReply);
});

test('a success that is no JSON is not the vendor’s', async () => {
  const { url } = await serve((_, response) => response.end('<html>'));
  const answer = await post(client(), url);
  expect(() => readAnswer(answer)).toThrow(UnreadableAnswer);
});

test('an endless answer is cut, and may have been a success', async () => {
  const { url } = await serve((_, response) => {
    const more = () => {
      while (response.write('x'.repeat(1024 * 1024))) {
        // Until the connection is full.
      }
    };
    response.on('drain', more);
    more();
  });
  await expect(post(client(), url)).rejects.toMatchObject({ code: 'EMSGSIZE' });
});

test('what had no connection never left; what had one and no answer may have arrived', async () => {
  const { url } = await serve((request) => request.socket.destroy());
  await expect(post(client(), url)).rejects.toMatchObject({ code: 'ECONNRESET' });
  const gone = new URL(url);
  const [server] = servers;
  await new Promise((resolve) => server?.close(resolve));
  await expect(post(client(), gone)).rejects.toBeInstanceOf(NeverLeft);
});
