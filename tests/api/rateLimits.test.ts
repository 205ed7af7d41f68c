import { createRateLimits } from '../../api/rateLimits';
import { routes } from '../../api/router';
import type { Config } from '../../lib/config';
import { createDatabase } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { newId } from '../../lib/ids';
import { freePort } from '../../workers/launch/ports';
import { startTestApi, type TestApi } from '../support/api';
import { buildTenant } from '../support/factories';

const me = '/api/v1/users/me';
const login = '/api/v1/auth/login';
const limit = 4;

let unlimited: TestApi;
let api: TestApi;
let twin: TestApi;

// The same database behind two processes' worth of API, each with its own memory.
beforeAll(async () => {
  unlimited = await startTestApi();
  const { db, accessTokens, config } = unlimited.deps;
  const limited = { db, accessTokens, config: withLimits(config) };
  api = await startTestApi(limited);
  twin = await startTestApi(limited);
});

afterAll(async () => {
  await Promise.all([api.stop(), twin.stop()]);
  await unlimited.stop();
});

function withLimits(config: Config): Config {
  return {
    ...config,
    TRUST_PROXY: 1,
    RATE_LIMIT_AUTH_PER_MIN: limit,
    RATE_LIMIT_UPLOAD_PER_MIN: 1,
    RATE_LIMIT_API_PER_MIN: limit,
  };
}

let lastNetwork = 0;

/** A network nobody else of this file comes from. */
function fromElsewhere(): { 'X-Forwarded-For': string } {
  lastNetwork += 1;
  return { 'X-Forwarded-For': `198.51.${lastNetwork >> 8}.${lastNetwork & 255}` };
}

async function times(count: number, ask: () => Promise<{ status: number }>): Promise<number[]> {
  const statuses: number[] = [];
  for (let n = 0; n < count; n += 1) {
    statuses.push((await ask()).status);
  }
  return statuses;
}

describe('a person', () => {
  test('is told what is left, and refused with 429 when nothing is', async () => {
    const { token } = await buildTenant(api.deps);
    const first = await api.send('get', me, { token });
    expect(first.status).toBe(200);
    expect(first.headers.get('RateLimit-Limit')).toBe('4');
    expect(first.headers.get('RateLimit-Remaining')).toBe('3');
    expect(Number(first.headers.get('RateLimit-Reset'))).toBeGreaterThan(0);

    expect(await times(3, () => api.send('get', me, { token }))).toEqual([200, 200, 200]);
    const refused = await api.send('get', me, { token });
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ code: 'tooManyRequests', status: 429 });
    expect(refused.headers.get('Content-Type')).toContain('application/problem+json');
    expect(refused.headers.get('RateLimit-Remaining')).toBe('0');
    const wait = Number(refused.headers.get('Retry-After'));
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(60);
    expect(refused.headers.get('RateLimit-Reset')).toBe(String(wait));
  });

  test('is counted over all processes, and nobody else with them', async () => {
    const [tenant, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
    const both = [api, twin, api, twin, api, twin];
    const statuses = await Promise.all(
      both.map(async (each) => (await each.send('get', me, tenant)).status),
    );
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 200, 200, 429, 429]);
    expect((await twin.send('get', me, other)).status).toBe(200);
    const colleague = tenant.tokenOf('member');
    expect((await twin.send('get', me, { token: colleague })).status).toBe(200);
  });

  test('who is over the limit is refused without a statement', async () => {
    const { token, userId } = await buildTenant(api.deps);
    await times(limit + 1, () => api.send('get', me, { token }));
    expect(await times(5, () => api.send('get', me, { token }))).toEqual(Array(5).fill(429));
    const counter = await api.db('rate_counters').where({ key: `api:user:${userId}` });
    expect(counter).toMatchObject([{ points: limit + 1 }]);
  });

  test('is free again when the window is over', async () => {
    const { token, userId } = await buildTenant(api.deps);
    await times(limit, () => api.send('get', me, { token }));
    const windows = api.db('rate_counters').where({ key: `api:user:${userId}` });
    await windows.clone().update({ expire: Date.now() - 1 });
    const answer = await api.send('get', me, { token });
    expect(answer.headers.get('RateLimit-Remaining')).toBe(String(limit - 1));
  });

  test('has another allowance for files', async () => {
    const { token } = await buildTenant(api.deps);
    const upload = () => {
      const form = new FormData();
      form.append('file', new Blob(['email\na@example.com'], { type: 'text/csv' }), 'a.csv');
      return api.send('post', '/api/v1/customers/upload', { token, body: form });
    };
    expect(await times(2, upload)).toEqual([202, 429]);
    expect((await api.send('get', me, { token })).status).toBe(200);
  });
});

describe('signing in', () => {
  const wrong = (email: string) => ({ json: { email, password: 'no such password' } });

  test('is limited for a network, whatever address it tries', async () => {
    const headers = fromElsewhere();
    const attempt = () => api.send('post', login, { ...wrong(`${newId()}@example.com`), headers });
    expect(await times(limit + 1, attempt)).toEqual([401, 401, 401, 401, 429]);
    const elsewhere = { ...wrong('a@example.com'), headers: fromElsewhere() };
    expect((await api.send('post', login, elsewhere)).status).toBe(401);
  });

  test('is counted for an address in each network apart, however the address is written', async () => {
    const email = `${newId()}@Example.com`;
    const stranger = fromElsewhere();
    const written = [email, email.toUpperCase(), ` ${email}`, email.toLowerCase(), email];
    const statuses: number[] = [];
    for (const each of written) {
      const asked = { ...wrong(each), headers: stranger };
      statuses.push((await api.send('post', login, asked)).status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 429]);
    const network = stranger['X-Forwarded-For'];
    const ofStranger = await api
      .db('rate_counters')
      .where('key', 'like', `auth:address:%:${network}`);
    expect(ofStranger).toMatchObject([{ points: limit }]);
    const counters = await api.db('rate_counters').select('key');
    expect(JSON.stringify(counters)).not.toContain('xample.com');
  });

  test('goes on for its owner while strangers of many networks try the address', async () => {
    const email = `${newId()}@example.com`;
    for (let n = 0; n < limit + 2; n += 1) {
      await api.send('post', login, { ...wrong(email), headers: fromElsewhere() });
    }
    const owner = { ...wrong(email), headers: fromElsewhere() };
    expect((await api.send('post', login, owner)).status).toBe(401);
  });

  test('counts all addresses of an IPv6 network as one', async () => {
    const statuses: number[] = [];
    for (let n = 0; n <= limit; n += 1) {
      const headers = { 'X-Forwarded-For': `2001:db8:7:7::${n}` };
      const asked = { ...wrong(`${newId()}@example.com`), headers };
      statuses.push((await api.send('post', login, asked)).status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 429]);
  });

  test('is not made freer by a forged X-Forwarded-For', async () => {
    const { 'X-Forwarded-For': real } = fromElsewhere();
    let n = 0;
    const attempt = () => {
      n += 1;
      // What the caller wrote stands first; our proxy adds where it was called from.
      const headers = { 'X-Forwarded-For': `203.0.113.${n}, ${real}` };
      return api.send('post', login, { ...wrong(`${newId()}@example.com`), headers });
    };
    expect(await times(limit + 1, attempt)).toEqual([401, 401, 401, 401, 429]);
  });

  test('every public operation of it is limited', () => {
    const open = routes.filter(
      ({ path, method, limit: kind, permission }) =>
        permission === 'public' && method === 'post' && /\/auth\//.test(path) && kind === 'none',
    );
    expect(open.map(({ name }) => name)).toEqual([]);
  });
});

describe('strangers', () => {
  test('who try tokens are limited by their network; good tokens go on from there', async () => {
    const headers = fromElsewhere();
    const attempt = () => api.send('get', me, { token: 'not.a.token', headers });
    expect(await times(limit + 1, attempt)).toEqual([401, 401, 401, 401, 429]);
    const { token } = await buildTenant(api.deps);
    expect((await api.send('get', me, { token, headers })).status).toBe(200);
  });

  test('who are suspended are counted as well', async () => {
    const headers = fromElsewhere();
    const { token, userId } = await buildTenant(api.deps);
    await api.db('users').where({ id: userId }).update({ suspended_at: new Date() });
    const attempt = () => api.send('get', me, { token, headers });
    expect(await times(limit + 1, attempt)).toEqual([403, 403, 403, 403, 429]);
  });

  test('vendors and readers of mail are not limited', async () => {
    const headers = fromElsewhere();
    const pixel = await times(limit + 3, () => api.send('get', '/t/o/not-a-token', { headers }));
    expect(pixel).not.toContain(429);
    const webhook = await times(limit + 3, () =>
      api.send('post', '/webhooks/sendgrid', { headers, json: [] }),
    );
    expect(webhook).not.toContain(429);
  });
});

test('a process whose database is away counts for itself', async () => {
  const port = await freePort();
  const db = createDatabase({
    url: `postgres://nobody@127.0.0.1:${port}/nothing`,
    applicationName: 'carillon-test',
  });
  try {
    const logger = createLogger({ name: 'test', level: 'fatal' });
    const limits = createRateLimits({ config: withLimits(unlimited.deps.config), db, logger });
    const left: (number | undefined)[] = [];
    for (let n = 0; n <= limit; n += 1) {
      left.push((await limits.count('auth', 'ip:192.0.2.1'))?.remaining);
    }
    expect(left).toEqual([3, 2, 1, 0, 0]);
    expect(await limits.count('auth', 'ip:192.0.2.1')).toMatchObject({ isExceeded: true });
  } finally {
    await db.destroy();
  }
});

test('nothing is counted or told where the limit is off', async () => {
  const { token, userId } = await buildTenant(unlimited.deps);
  const answer = await unlimited.send('get', me, { token });
  expect(answer.headers.get('RateLimit-Limit')).toBeNull();
  const counters = await unlimited.db('rate_counters').where({ key: `api:user:${userId}` });
  expect(counters).toEqual([]);
});

test('the headers are exposed to browsers, and documented wherever a limit holds', async () => {
  const { token } = await buildTenant(api.deps);
  const headers = { Origin: 'https://console.example.com' };
  const answer = await api.send('get', me, { token, headers });
  expect(answer.headers.get('Access-Control-Expose-Headers')).toContain('RateLimit-Remaining');

  const { body } = await unlimited.send('get', '/openapi.json');
  for (const route of routes) {
    const { responses } = body.paths[route.path.replace(/:(\w+)/g, '{$1}')][route.method];
    const hasHeaders = responses['429']?.headers?.['Retry-After'] !== undefined;
    expect([route.name, hasHeaders]).toEqual([route.name, route.limit !== 'none']);
  }
});
