import { once } from 'node:events';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { closeServer, listen } from '../../lib/httpProcess';

// Longer than a test may take: whoever waits for the cut is not closed at all.
const neverMs = 600_000;

/** A server whose answers are let go by the test, and which never ends a connection by itself. */
async function openServer() {
  const held: http.ServerResponse[] = [];
  const asked = http.createServer({ keepAliveTimeout: 0 }, (_, response) => held.push(response));
  const server = await listen(asked, { port: 0, host: '127.0.0.1' });
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('The server listens on no port');
  }
  const { port } = address;
  const agent = new http.Agent({ keepAlive: true });
  return {
    server,
    agent,
    /** A request that has reached the server; `held` are the answers it is owed. */
    ask: async () => {
      const request = http.get({ port, host: '127.0.0.1', agent });
      const answered = once(request, 'response');
      await once(server, 'request');
      return { answered, held };
    },
  };
}

test('is closed once the last answer is out, though its connection is kept alive', async () => {
  const { server, agent, ask } = await openServer();
  const { answered, held } = await ask();
  const closed = closeServer(server, neverMs);
  held[0]?.end('done');
  const [answer]: http.IncomingMessage[] = await answered;
  expect(answer === undefined ? '' : await text(answer)).toBe('done');
  await closed;
  agent.destroy();
});

test('a request that does not end is cut', async () => {
  const { server, agent, ask } = await openServer();
  const { answered } = await ask();
  const closed = closeServer(server, 100);
  await expect(answered).rejects.toThrow('socket hang up');
  await closed;
  agent.destroy();
});
