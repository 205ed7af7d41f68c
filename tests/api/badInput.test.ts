import { campaignBody, type BadCase, badCases, type BadGround } from './badInput.cases';
import { buildCustomer, buildTenant } from '../support/factories';
import { startTestApi, type TestApi } from '../support/api';
import { checksumOf } from '../support/checksum';
import { createWebhookKeys } from '../../sandbox';
import { loadConfig } from '../../lib/config';

let api: TestApi;
let ground: BadGround;

beforeAll(async () => {
  const keys = createWebhookKeys();
  api = await startTestApi({
    config: loadConfig([], {
      NODE_ENV: 'test',
      // So many wrong requests a minute would be refused for their number.
      RATE_LIMIT_AUTH_PER_MIN: '0',
      RATE_LIMIT_UPLOAD_PER_MIN: '0',
      RATE_LIMIT_API_PER_MIN: '0',
      TRACKING_SECRET: 'another secret of the tests, long enough',
      PUBLIC_URL: 'http://carillon.test',
      SENDGRID_WEBHOOK_PUBLIC_KEY: keys.publicKeyBase64,
    }),
  });
  const tenant = await buildTenant(api.deps);
  const other = await buildTenant(api.deps);
  const customer = await buildCustomer(api.deps, { tenant, email: 'taken@example.com' });
  const othersCustomer = await buildCustomer(api.deps, { tenant: other });
  const create = async (token: string) =>
    (await api.send('post', '/api/v1/campaigns', { token, json: campaignBody })).body.data.id;
  const campaignId = await create(tenant.token);
  await api.send('post', '/api/v1/customers', {
    token: tenant.token,
    json: { email: 'first@example.com' },
    headers: { 'Idempotency-Key': 'used-before' },
  });
  const registered = 'owner@registered.example.com';
  await api.send('post', '/api/v1/auth/register', {
    json: { companyName: 'Bells', email: registered, password: 'correct horse battery' },
  });
  ground = {
    token: tenant.token,
    viewerToken: tenant.tokenOf('viewer'),
    email: registered,
    customerId: customer.id,
    campaignId,
    othersCustomerId: othersCustomer.id,
    othersCampaignId: await create(other.token),
    privateKeyPem: keys.privateKeyPem,
  };
});

afterAll(() => api.stop());

test('there are at least sixty wrong requests in the table', () => {
  expect(badCases.length).toBeGreaterThanOrEqual(60);
});

test.each(badCases.map((each): [string, BadCase] => [each.what, each]))(
  'refuses %s, names the field, and changes nothing',
  async (_, bad) => {
    const before = await checksumOf(api.db);
    const { method, path, ...options } = bad.request(ground);
    const answer = await api.send(method, path, options);
    expect({ status: answer.status, code: answer.body?.code }).toEqual({
      status: bad.status,
      code: bad.code,
    });
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(Buffer.byteLength(answer.text)).toBeLessThan(100_000);
    const problems: { path: string }[] = answer.body.errors ?? [];
    const named = problems.map((problem) => problem.path);
    const missing = [bad.field].filter((field) => field !== undefined && !named.includes(field));
    expect(missing).toEqual([]);
    expect(await checksumOf(api.db)).toBe(before);
  },
);
