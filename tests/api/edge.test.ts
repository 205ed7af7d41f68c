import http from 'node:http';
import { startTestApi, type TestApi } from '../support/api';
import { buildTenant } from '../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

const customers = '/api/v1/customers';

describe('a body that cannot be read', () => {
  const deep = `{"email":"a@example.com","attributes":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const json = { 'Content-Type': 'application/json' };

  test.each([
    ['broken JSON', '{"email":', json, 400, 'malformedJson'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), json, 400, 'malformedText'],
    ['JSON that nests too deep', deep, json, 400, 'nestedTooDeep'],
    ['more than 1 MiB', `"${'x'.repeat(1024 * 1024)}"`, json, 413, 'bodyTooLarge'],
    [
      'a form',
      'email=a',
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      415,
      'unsupportedMediaType',
    ],
    ['no type', Buffer.from('{}'), {}, 415, 'unsupportedMediaType'],
    [
      'another charset',
      '{}',
      { 'Content-Type': 'application/json; charset=utf-16' },
      415,
      'unsupportedMediaType',
    ],
    ['a packed one', '{}', { ...json, 'Content-Encoding': 'gzip' }, 415, 'unsupportedMediaType'],
  ])('answers %s', async (_, body, headers, status, code) => {
    const { token, tenantId } = await buildTenant(api.deps);
    const answer = await api.send('post', customers, { token, body, headers });

    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.headers.get('Content-Type')).toContain('application/problem+json');
    expect(await api.db('customers').where({ tenant_id: tenantId })).toEqual([]);
  });

  test('that grows past its limit without saying so is answered 413', async () => {
    const { token } = await buildTenant(api.deps);
    const answer = await sendChunked(customers, token, 40, Buffer.alloc(64 * 1024, ' '));

    expect(answer).toContain('bodyTooLarge');
  });

  test('a key that reaches for the prototype is no field', async () => {
    const { token } = await buildTenant(api.deps);
    const answer = await api.send('post', customers, {
      token,
      body: '{"email":"a@example.com","attributes":{"__proto__":{"admin":true}}}',
      headers: { 'Content-Type': 'application/json' },
    });

    expect(answer.status).toBe(422);
    expect(answer.body.errors).toMatchObject([
      { path: 'attributes.__proto__', code: 'unknownField' },
    ]);
  });

  test('an empty one is an empty object', async () => {
    const { token } = await buildTenant(api.deps);
    const answer = await api.send('post', customers, { token });

    expect(answer.body.errors).toMatchObject([{ path: 'email', code: 'identityMissing' }]);
  });
});

describe('errors', () => {
  test('are problem details with a stable code and the id of the request', async () => {
    const answer = await api.send('get', '/api/v1/users/me', {
      headers: { 'X-Request-Id': 'my-request-1' },
    });

    expect(answer.headers.get('X-Request-Id')).toBe('my-request-1');
    expect(answer.body).toEqual({
      type: 'urn:carillon:problem:tokenMissing',
      title: 'A valid access token is needed',
      status: 401,
      detail: expect.any(String),
      code: 'tokenMissing',
      requestId: 'my-request-1',
    });
  });

  test('a request id that could do harm in a log is replaced', async () => {
    const answer = await api.send('get', '/health', { headers: { 'X-Request-Id': 'a b{}' } });
    expect(answer.headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('an unknown path answers 404, another method 405 with what goes', async () => {
    const unknown = await api.send('get', '/api/v1/nothing/here');
    expect([unknown.status, unknown.body.code]).toEqual([404, 'routeNotFound']);
    const wrong = await api.send('delete', customers);
    expect([wrong.status, wrong.body.code]).toEqual([405, 'methodNotAllowed']);
    expect(wrong.headers.get('Allow')?.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST']);
  });

  test('a path of its own is not taken for the id of a thing', async () => {
    const { token } = await buildTenant(api.deps);
    for (const method of ['get', 'put', 'delete'] as const) {
      const wrong = await api.send(method, `${customers}/upload`, { token });
      expect([method, wrong.status, wrong.headers.get('Allow')]).toEqual([method, 405, 'POST']);
    }
  });

  test('of our own tell nothing of what broke', async () => {
    const broken = await startTestApi({
      accessTokens: {
        ...api.deps.accessTokens,
        verify() {
          throw new Error('the secret is Tintagel');
        },
      },
    });
    try {
      const answer = await broken.send('get', customers, { token: 'x' });
      expect([answer.status, answer.body.code]).toEqual([500, 'internalError']);
      expect(answer.text).not.toContain('Tintagel');
    } finally {
      await broken.stop();
    }
  });

  test('a token of a tenant that is gone is refused', async () => {
    const token = api.deps.accessTokens.issue({
      userId: '0190a000-0000-7000-8000-000000000000',
      tenantId: '0190a000-0000-7000-8000-000000000001',
      sessionId: '0190a000-0000-7000-8000-000000000002',
    });
    const me = await api.send('get', '/api/v1/users/me', { token });
    const create = await api.send('post', customers, { token, json: { email: 'a@example.com' } });
    const keyed = await api.send('post', customers, {
      token,
      json: { email: 'a@example.com' },
      headers: { 'Idempotency-Key': 'key' },
    });

    expect([me.status, create.status, keyed.status]).toEqual([401, 401, 401]);
  });
});

describe('headers', () => {
  test('JSON gives a browser no rights and is not sniffed', async () => {
    const { headers } = await api.send('get', '/health');
    expect(headers.get('Content-Security-Policy')).toContain("default-src 'none'");
    expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
    expect(headers.get('X-Powered-By')).toBeNull();
    expect(headers.get('Referrer-Policy')).toBe('no-referrer');
    expect(headers.get('Cross-Origin-Opener-Policy')).toBe('same-origin');
    expect(headers.get('Cross-Origin-Resource-Policy')).toBe('same-origin');
    expect(headers.get('Permissions-Policy')).toContain('camera=()');
    expect(headers.get('Cache-Control')).toBe('no-store');
    // Only over TLS, which production alone is sure to have.
    expect(headers.get('Strict-Transport-Security')).toBeNull();
  });

  test('in production browsers are told to come by TLS alone', async () => {
    const config = { ...api.deps.config, NODE_ENV: 'production' as const };
    const production = await startTestApi({ config });
    try {
      const { headers } = await production.send('get', '/health');
      expect(headers.get('Strict-Transport-Security')).toMatch(/^max-age=31536000/);
    } finally {
      await production.stop();
    }
  });

  test('only origins of the list may read answers', async () => {
    const { token } = await buildTenant(api.deps);
    const from = (origin: string) =>
      api.send('get', customers, { token, headers: { Origin: origin } });

    const known = await from('https://console.example.com');
    expect(known.headers.get('Access-Control-Allow-Origin')).toBe('https://console.example.com');
    expect(known.headers.get('Access-Control-Expose-Headers')).toContain('ETag');
    expect(known.headers.get('Access-Control-Allow-Credentials')).toBeNull();
    const stranger = await from('https://evil.example.com');
    expect(stranger.headers.get('Access-Control-Allow-Origin')).toBeNull();
  });

  test('a preflight of a listed origin names what may be sent', async () => {
    const answer = await api.send('options', customers, {
      headers: { Origin: 'https://console.example.com', 'Access-Control-Request-Method': 'PATCH' },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('Access-Control-Allow-Methods')).toContain('PATCH');
    expect(answer.headers.get('Access-Control-Allow-Headers')).toContain('Idempotency-Key');
  });

  test('long answers are packed', async () => {
    const answer = await api.send('get', '/openapi.json', { headers: { 'Accept-Encoding': 'br' } });
    expect(answer.headers.get('Content-Encoding')).toBe('br');
    expect(answer.body.openapi).toBe('3.1.0');
  });
});

// fetch always says how long a body is, when it knows.
function sendChunked(path: string, token: string, chunks: number, chunk: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request(api.url + path, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    for (let sent = 0; sent < chunks; sent += 1) {
      request.write(chunk);
    }
    request.end();
  });
}
