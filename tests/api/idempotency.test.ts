import { startTestApi, type TestApi } from '../support/api';
import { buildTenant, type TestTenant } from '../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

function create(tenant: TestTenant, key: string, json: unknown = { email: 'a@example.com' }) {
  return api.send('post', '/api/v1/customers', {
    token: tenant.token,
    json,
    headers: { 'Idempotency-Key': key },
  });
}

function keysOf(tenant: TestTenant) {
  return api.db('idempotency_keys').where({ tenant_id: tenant.tenantId });
}

function customersOf(tenant: TestTenant) {
  return api.db('customers').where({ tenant_id: tenant.tenantId });
}

test('answers a repeat with what the first request was answered', async () => {
  const tenant = await buildTenant(api.deps);
  const first = await create(tenant, 'key');
  const second = await create(tenant, 'key');

  expect([first.status, first.headers.get('Idempotency-Replayed')]).toEqual([201, null]);
  expect([second.status, second.headers.get('Idempotency-Replayed')]).toEqual([201, 'true']);
  expect(second.text).toBe(first.text);
  expect(second.headers.get('Location')).toBe(first.headers.get('Location'));
  expect(await customersOf(tenant)).toHaveLength(1);
});

test('keeps refusals too', async () => {
  const tenant = await buildTenant(api.deps);
  await create(tenant, 'first');
  const refused = await create(tenant, 'second');
  await customersOf(tenant).delete();
  const repeated = await create(tenant, 'second');

  expect([refused.status, repeated.status]).toEqual([409, 409]);
  expect(repeated.headers.get('Content-Type')).toContain('application/problem+json');
  expect(repeated.text).toBe(refused.text);
});

test('does not keep what was refused before it began', async () => {
  const tenant = await buildTenant(api.deps);
  const invalid = await create(tenant, 'key', { email: 'nobody' });
  const fixed = await create(tenant, 'key');

  expect([invalid.status, fixed.status]).toEqual([422, 201]);
});

test('refuses a key that was used for another body or another route', async () => {
  const tenant = await buildTenant(api.deps);
  await create(tenant, 'key');
  const otherBody = await create(tenant, 'key', { email: 'b@example.com' });
  const otherRoute = await api.send('post', '/api/v1/suppressions', {
    token: tenant.token,
    json: { address: 'a@example.com' },
    headers: { 'Idempotency-Key': 'key' },
  });

  expect([otherBody.status, otherBody.body.code]).toEqual([409, 'idempotencyKeyReused']);
  expect([otherRoute.status, otherRoute.body.code]).toEqual([409, 'idempotencyKeyReused']);
  expect(await customersOf(tenant)).toHaveLength(1);
});

test('lets one of many that come at once run', async () => {
  const tenant = await buildTenant(api.deps);
  const answers = await Promise.all(Array.from({ length: 8 }, () => create(tenant, 'key')));

  for (const answer of answers.filter(({ status }) => status !== 201)) {
    expect([answer.status, answer.body.code]).toEqual([409, 'requestInProgress']);
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
  }
  const ids = answers.flatMap(({ body }) => body.data?.id ?? []);
  expect(new Set(ids).size).toBe(1);
  expect(await customersOf(tenant)).toHaveLength(1);
});

test('creates once though the process died after its commit and before the answer was kept', async () => {
  const tenant = await buildTenant(api.deps);
  const first = await create(tenant, 'key');
  const before = await keysOf(tenant).first();
  await keysOf(tenant).update({ state: 'running', status: null, body: null });

  const early = await create(tenant, 'key');
  expect([early.status, early.body.code]).toEqual([409, 'requestInProgress']);

  await keysOf(tenant).update({ locked_until: new Date(Date.now() - 1_000) });
  const late = await create(tenant, 'key');
  expect(late.status).toBe(201);
  expect(late.headers.get('Idempotency-Replayed')).toBeNull();
  expect(late.body).toEqual(first.body);
  expect(await customersOf(tenant)).toHaveLength(1);
  expect(await keysOf(tenant).first()).toMatchObject({
    state: 'done',
    created_at: before.created_at,
  });
});

test('takes a key anew after 24 hours', async () => {
  const tenant = await buildTenant(api.deps);
  const first = await create(tenant, 'key');
  await keysOf(tenant).update({ created_at: new Date(Date.now() - 24 * 3_600_000 - 1_000) });
  const second = await create(tenant, 'key', { email: 'b@example.com' });

  expect(second.status).toBe(201);
  expect(second.body.data.id).not.toBe(first.body.data.id);
});

test('keeps the keys of tenants apart', async () => {
  const [one, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const answers = [await create(one, 'key'), await create(other, 'key')];

  expect(answers.map(({ status }) => status)).toEqual([201, 201]);
  expect(answers[0]?.body.data.id).not.toBe(answers[1]?.body.data.id);
});

test.each([
  ['with a space', 'a b'],
  ['too long', 'k'.repeat(256)],
  ['not ASCII', Buffer.from('schlüssel').toString('latin1')],
])('refuses a key %s', async (_, key) => {
  const tenant = await buildTenant(api.deps);
  const answer = await create(tenant, key);

  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([{ path: 'Idempotency-Key', code: 'wrongFormat' }]);
  expect(await customersOf(tenant)).toEqual([]);
});
