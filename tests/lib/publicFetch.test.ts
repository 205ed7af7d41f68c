import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { publicFetch, PublicFetchError, type PublicFetchOptions } from '../../lib/publicFetch';

let server: Server;
let port: number;
let connections = 0;
let asked: IncomingMessage[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request);
    respond(request.url ?? '', response);
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});

beforeEach(() => {
  connections = 0;
  asked = [];
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function respond(path: string, response: ServerResponse): void {
  switch (path) {
    case '/redirect':
      response.writeHead(302, { Location: `http://127.0.0.1:${port}/secret` }).end();
      return;
    case '/endless': {
      const write = () => {
        let isTaken = true;
        while (isTaken && !response.destroyed) {
          isTaken = response.write('x'.repeat(16 * 1024));
        }
      };
      response.on('drain', write);
      write();
      return;
    }
    case '/silent':
      return;
    default:
      response.end('hello');
  }
}

const limits = { timeoutMs: 10_000, maxBytes: 64 * 1024 };

/** Fetches as in production; answers the problem, and fails the test when there is none. */
async function problemOf(
  address: string,
  options: Partial<PublicFetchOptions> = {},
): Promise<string> {
  try {
    await publicFetch(address, { ...limits, onlyPublic: true, ...options });
  } catch (error) {
    if (error instanceof PublicFetchError) {
      return error.problem;
    }
    throw error;
  }
  throw new Error(`${address} was fetched`);
}

const local = (path = '/') => `http://sandbox.example:${port}${path}`;
const here = { onlyPublic: false, resolve: () => Promise.resolve(['127.0.0.1']) };

describe('in production', () => {
  test.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '192.168.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '[::]',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:a9fe:a9fe]',
    '[::ffff:0:127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[fd00:ec2::254]',
    '[fe80::1]',
    '[ff02::1]',
    'localhost',
    'localhost.',
    'LOCALHOST',
    'api',
    'metadata.google.internal',
    'metadata.google.internal.',
    'printer.local',
    '①②⑦.0.0.1',
  ])('%s is not called', async (host) => {
    expect(await problemOf(`https://${host}:${port}/`)).toBe('notPublic');
    expect(connections).toBe(0);
  });

  test.each([
    ['http://example.com/', 'notHttps'],
    ['ftp://example.com/', 'notHttps'],
    ['file:///etc/passwd', 'notHttps'],
    ['gopher://127.0.0.1:6379/_INFO', 'notHttps'],
    ['https://user:password@example.com/', 'hasCredentials'],
    ['no address', 'unknown'],
  ])('%s is not fetched', async (address, problem) => {
    expect(await problemOf(address)).toBe(problem);
  });

  test.each([
    ['one of its addresses is ours', ['93.184.216.34', '10.0.0.1'], 'notPublic'],
    ['all of them are', ['127.0.0.1'], 'notPublic'],
    ['it has none', [], 'unknown'],
  ])('a name is not called when %s', async (_, addresses, problem) => {
    const resolve = () => Promise.resolve(addresses);
    expect(await problemOf(`https://shop.example.com:${port}/`, { resolve })).toBe(problem);
    expect(connections).toBe(0);
  });

  test('a name that leads elsewhere a moment later is connected to where it led first', async () => {
    let times = 0;
    const resolve = () => {
      times += 1;
      // First a public address, at whose port nobody listens, then this machine.
      return Promise.resolve([times === 1 ? '93.184.216.34' : '127.0.0.1']);
    };
    const address = `https://rebinding.example.com:${port}/`;
    expect(['timedOut', 'unreachable']).toContain(
      await problemOf(address, { resolve, timeoutMs: 300 }),
    );
    expect(times).toBe(1);
    expect(connections).toBe(0);
  });

  test('a name that is looked up for ever is given up', async () => {
    const resolve = () => new Promise<string[]>(() => undefined);
    expect(await problemOf('https://slow.example.com/', { resolve, timeoutMs: 50 })).toBe(
      'timedOut',
    );
  });
});

describe('what is fetched', () => {
  test('is asked for by its name at the address that was found', async () => {
    const body = '{"a":1}';
    const answer = await publicFetch(local('/in?b=2'), {
      ...limits,
      ...here,
      method: 'POST',
      headers: { 'X-Bell': 'yes' },
      body,
    });
    expect(answer.status).toBe(200);
    expect(answer.body.toString()).toBe('hello');
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/in?b=2' });
    expect(asked[0]?.headers).toMatchObject({ host: `sandbox.example:${port}`, 'x-bell': 'yes' });
  });

  test('is not what a redirect leads to', async () => {
    const answer = await publicFetch(local('/redirect'), { ...limits, ...here });
    expect(answer.status).toBe(302);
    expect(asked.map(({ url }) => url)).toEqual(['/redirect']);
  });

  test('is cut off when it never ends', async () => {
    expect(await problemOf(local('/endless'), here)).toBe('tooLarge');
  });

  test('is given up when nothing comes', async () => {
    expect(await problemOf(local('/silent'), { ...here, timeoutMs: 200 })).toBe('timedOut');
  });
});
