import { createLlmProviders, llmVendors } from '../../../providers/llm';
import {
  answerJson,
  beginStream,
  chatCall,
  chunk,
  collect,
  event,
  failureOf,
  limits,
  openVendor,
  reply,
  type Vendor,
} from './support';

// What every vendor promises to the gateway, whatever it is behind its door.

const providers = createLlmProviders({ onlyPublic: false });
const inProduction = createLlmProviders({
  onlyPublic: true,
  resolve: () => Promise.resolve(leadsTo),
});
let leadsTo: string[] = [];
let server: Vendor;

beforeAll(async () => {
  server = await openVendor();
});

beforeEach(() => {
  leadsTo = [];
});

afterAll(async () => {
  await server.close();
  const all = llmVendors.flatMap((vendor) => [providers[vendor], inProduction[vendor]]);
  await Promise.all(all.map((provider) => provider.close()));
});

describe.each(llmVendors)('%s', (vendor) => {
  const provider = providers[vendor];
  const ask = (credentials = server.credentials) =>
    provider.chat(chatCall(), credentials, limits());

  test('answers, and asks once', async () => {
    server.answers((response) => answerJson(response, reply({ content: 'Hello' })));
    await expect(ask()).resolves.toMatchObject({ text: 'Hello', finishReason: 'stop' });
    expect(server.asked).toHaveLength(1);
  });

  test('streams the same', async () => {
    server.answers((response) => {
      beginStream(response);
      response.write(event(chunk({ content: 'Hel' })) + event(chunk({ content: 'lo' }, 'stop')));
      response.end(event('[DONE]'));
    });
    const pieces = await collect(provider.stream(chatCall(), server.credentials, limits()));
    expect(pieces.map((piece) => (piece.type === 'text' ? piece.text : piece.reply.text))).toEqual([
      'Hel',
      'lo',
      'Hello',
    ]);
  });

  test.each([
    [400, 'invalidRequest'],
    [401, 'authentication'],
    [402, 'credits'],
    [408, 'timeout'],
    [429, 'platformRateLimit'],
    [500, 'serverError'],
    [503, 'serverError'],
  ])('makes of %i what it is, and never asks again', async (status, kind) => {
    server.answers((response) =>
      answerJson(response, { error: { code: status, message: 'No' } }, status, {
        'Retry-After': '0',
      }),
    );
    await expect(failureOf(ask())).resolves.toMatchObject({ kind, status });
    expect(server.asked).toHaveLength(1);
  });

  test('follows no redirect', async () => {
    server.answers((response) => {
      response.writeHead(302, { Location: `http://127.0.0.1:${server.port}/secret` });
      response.end();
    });
    await expect(failureOf(ask())).resolves.toMatchObject({ kind: 'serverError', status: 302 });
    expect(server.asked).toHaveLength(1);
  });

  test('opens what a key opens, and no more', async () => {
    server.answers((response, { path }) =>
      answerJson(
        response,
        path.endsWith('/key') ? { data: { usage: 1, limit: null } } : { data: [] },
      ),
    );
    const options = { signal: new AbortController().signal, timeoutMs: 10_000 };
    await expect(provider.keyStatus(server.credentials, options)).resolves.toMatchObject({
      limitMicros: null,
    });
    expect(server.asked[0]?.method).toBe('GET');
  });

  test('takes nothing from the environment', async () => {
    const names = ['OPENAI_BASE_URL', 'OPENAI_API_KEY', 'OPENAI_ORG_ID', 'OPENAI_PROJECT_ID'];
    const before = { ...process.env };
    names.forEach((name) => {
      process.env[name] = 'https://elsewhere.example/v1';
    });
    process.env['OPENAI_CUSTOM_HEADERS'] = 'x-spy: 1';
    try {
      server.answers((response) => answerJson(response, reply({ content: 'Hello' })));
      // A key that no client was made for yet.
      await ask({ ...server.credentials, apiKey: `sk-${vendor}-of-this-test-alone` });
    } finally {
      process.env = before;
    }
    expect(server.asked[0]?.headers).toMatchObject({
      authorization: `Bearer sk-${vendor}-of-this-test-alone`,
    });
    expect(JSON.stringify(server.asked[0]?.headers)).not.toMatch(/elsewhere|x-spy/);
  });

  describe('in production calls no address of our own', () => {
    const refused = (baseUrl: string) =>
      failureOf(
        inProduction[vendor].chat(
          chatCall(),
          { ...server.credentials, baseUrl },
          limits({ timeoutMs: 20_000 }),
        ),
      );

    beforeEach(() => server.answers((response) => answerJson(response, reply({ content: 'Hi' }))));

    test.each([
      ['127.0.0.1', 'notPublic'],
      ['[::1]', 'notPublic'],
      ['[::ffff:127.0.0.1]', 'notPublic'],
      ['[::ffff:a9fe:a9fe]', 'notPublic'],
      ['2130706433', 'notPublic'],
      ['0x7f000001', 'notPublic'],
      ['0177.0.0.1', 'notPublic'],
      ['127.1', 'notPublic'],
      ['169.254.169.254', 'notPublic'],
      ['10.0.0.7', 'notPublic'],
      ['localhost', 'notPublic'],
      ['localhost.', 'notPublic'],
      ['metadata.google.internal', 'notPublic'],
    ])('%s', async (host, code) => {
      await expect(refused(`https://${host}:${server.port}/v1`)).resolves.toMatchObject({
        kind: 'unreachable',
        vendorCode: code,
      });
      expect(server.asked).toHaveLength(0);
    });

    test.each([[['127.0.0.1']], [['93.184.216.34', '10.1.2.3']], [['::ffff:192.168.1.1']]])(
      'a name that leads to %p',
      async (addresses) => {
        leadsTo = addresses;
        await expect(
          refused(`https://api.vendor.example:${server.port}/v1`),
        ).resolves.toMatchObject({ kind: 'unreachable', vendorCode: 'notPublic' });
        expect(server.asked).toHaveLength(0);
      },
    );

    test('a name that leads nowhere', async () => {
      await expect(refused('https://api.vendor.example/v1')).resolves.toMatchObject({
        kind: 'unreachable',
        vendorCode: 'unknown',
      });
    });

    test('nor without TLS, where keys could be read', async () => {
      leadsTo = ['93.184.216.34'];
      await expect(refused('http://api.vendor.example/v1')).resolves.toMatchObject({
        kind: 'unreachable',
        vendorCode: 'notHttps',
      });
    });
  });
});
