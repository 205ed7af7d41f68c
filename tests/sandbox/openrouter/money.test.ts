import type { Sandbox } from '../../../sandbox';
import { api, closeAll, openSandbox } from '../support';
import { ask, callsOf, model, openRouter, raw, secretOf } from './support';

const MANAGEMENT = 'sk-or-v1-management-of-one';
let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox({
    openRouterAccounts: [
      {
        id: 'one',
        creditMicros: 2_000_000,
        managementKey: MANAGEMENT,
        keys: [
          { secret: 'sk-or-v1-one-0001', label: 'one-1' },
          { secret: 'sk-or-v1-one-0002', label: 'one-2', limitMicros: 100, limitReset: 'daily' },
          {
            secret: 'sk-or-v1-one-0003',
            label: 'one-3',
            expiresAt: new Date(Date.now() - 1_000).toISOString(),
          },
        ],
      },
    ],
  });
});
afterEach(closeAll);

const data = async (path: string, secret: string): Promise<Record<string, unknown>> => {
  const { status, text } = await raw(sandbox, path, { secret });
  const body: { data?: Record<string, unknown> } = JSON.parse(text);
  return { status, ...body.data };
};
const chat = async (secret: string, changes: object = {}) => {
  const json = { model, messages: [{ role: 'user', content: 'Tell me of tea' }], ...changes };
  const { status, text, headers } = await raw(sandbox, '/chat/completions', { secret, json });
  return { status, headers, text };
};

test('what a call costs goes off the key and the account, to the last digit', async () => {
  const client = openRouter(sandbox, 'sk-or-v1-one-0001');
  const { usage } = await ask(client, 'Tell me of tea');
  const cost = usage && 'cost' in usage ? Number(usage.cost) : 0;
  expect(cost).toBeGreaterThan(0);
  expect(cost).toBeCloseTo(
    (usage?.prompt_tokens ?? 0) * 0.00000025 + (usage?.completion_tokens ?? 0) * 0.000002,
    9,
  );
  expect(await data('/key', 'sk-or-v1-one-0001')).toMatchObject({
    status: 200,
    usage: cost,
    usage_daily: cost,
    usage_monthly: cost,
    limit: null,
    is_management_key: false,
  });
  expect(await data('/credits', MANAGEMENT)).toEqual({
    status: 200,
    total_credits: 2,
    total_usage: cost,
  });
});

test('credit runs out, for models that cost nothing too, and comes back', async () => {
  await api(sandbox, '/openrouter/accounts/one', 'PUT', { creditMicros: 1 });
  expect((await chat('sk-or-v1-one-0001')).status).toBe(200);
  const spent = await chat('sk-or-v1-one-0001');
  expect([spent.status, JSON.parse(spent.text)]).toMatchObject([
    402,
    { error: { metadata: { limit_source: 'openrouter_credits' } } },
  ]);
  expect((await chat('sk-or-v1-one-0001', { model: 'openai/gpt-oss-20b:free' })).status).toBe(402);
  await api(sandbox, '/openrouter/accounts/one', 'PUT', { creditMicros: 1_000_000 });
  expect((await chat('sk-or-v1-one-0001')).status).toBe(200);
});

test('a key’s own limit runs out alone, and says so', async () => {
  while ((await chat('sk-or-v1-one-0002')).status === 200) {
    // Until its hundred micros are gone.
  }
  const spent = await chat('sk-or-v1-one-0002');
  expect([spent.status, JSON.parse(spent.text)]).toMatchObject([
    402,
    { error: { metadata: { limit_source: 'openrouter_key_limit' } } },
  ]);
  const key = await data('/key', 'sk-or-v1-one-0002');
  expect(key).toMatchObject({ limit: 0.0001, limit_reset: 'daily' });
  expect(Number(key.limit_remaining)).toBeLessThanOrEqual(0);
  expect((await chat('sk-or-v1-one-0001')).status).toBe(200);
  await api(sandbox, '/openrouter/keys/one-2', 'PUT', { limitMicros: 1_000_000 });
  expect((await chat('sk-or-v1-one-0002')).status).toBe(200);
});

test('a key that is revoked or expired opens nothing, and can be given back', async () => {
  expect((await chat('sk-or-v1-one-0003')).status).toBe(401);
  await api(sandbox, '/openrouter/keys/0001', 'PUT', { isRevoked: true });
  expect((await chat('sk-or-v1-one-0001')).status).toBe(401);
  expect((await raw(sandbox, '/key', { secret: 'sk-or-v1-one-0001' })).status).toBe(401);
  await api(sandbox, '/openrouter/keys/0001', 'PUT', { isRevoked: false });
  expect((await chat('sk-or-v1-one-0001')).status).toBe(200);
});

test('a key that is made while it runs works', async () => {
  await api(sandbox, '/openrouter/accounts/one/keys', 'POST', {
    secret: 'sk-or-v1-one-0004',
    label: 'one-4',
  });
  expect((await chat('sk-or-v1-one-0004')).status).toBe(200);
  await expect(
    api(sandbox, '/openrouter/accounts/one/keys', 'POST', {
      secret: 'sk-or-v1-one-0004',
      label: 'one-5',
    }),
  ).rejects.toThrow('409');
});

test('credits are for management keys alone, and those open no model', async () => {
  expect((await data('/credits', 'sk-or-v1-one-0001')).status).toBe(403);
  expect((await data('/credits', 'sk-or-v1-nobody')).status).toBe(401);
  expect((await chat(MANAGEMENT)).status).toBe(401);
});

test('models that cost nothing are limited to twenty a minute, for the account', async () => {
  const free = { model: 'openai/gpt-oss-20b:free' };
  const statuses = [];
  for (let n = 0; n < 21; n += 1) {
    statuses.push((await chat('sk-or-v1-one-0001', free)).status);
  }
  expect(statuses.filter((status) => status === 200)).toHaveLength(20);
  const other = await chat('sk-or-v1-one-0002', free);
  expect(other.status).toBe(429);
  const resetsInMs = Number(other.headers.get('x-ratelimit-reset')) - Date.now();
  expect(resetsInMs).toBeGreaterThan(0);
  expect(resetsInMs).toBeLessThanOrEqual(60_000);
  expect((await chat('sk-or-v1-one-0002')).status).toBe(200);
});

test('what an answer cost can be asked for afterwards, by its account', async () => {
  const { headers } = await chat('sk-or-v1-one-0001');
  const id = headers.get('x-generation-id') ?? '';
  const { items } = await callsOf(sandbox);
  const found = await data(`/generation?id=${id}`, 'sk-or-v1-one-0002');
  expect(found).toMatchObject({ id, model, streamed: false, finish_reason: 'stop' });
  expect(Number(found.total_cost) * 1e6).toBeCloseTo(items[0]?.costMicros ?? 0, 4);
  expect((await data('/generation?id=gen-none', 'sk-or-v1-one-0001')).status).toBe(404);
});

test('the list of models has prices as text, and is public', async () => {
  const { status, text } = await raw(sandbox, '/models', { secret: null });
  const list: { data: { id: string; pricing: Record<string, string> }[] } = JSON.parse(text);
  expect(status).toBe(200);
  expect(list.data.length).toBeGreaterThanOrEqual(15);
  expect(list.data.find(({ id }) => id === model)).toMatchObject({
    context_length: 400_000,
    pricing: { prompt: '0.00000025', completion: '0.000002' },
    supported_parameters: expect.arrayContaining(['tools', 'structured_outputs']),
  });
  expect(list.data.some(({ id }) => id.endsWith(':free'))).toBe(true);
});

test('equal words have near vectors, other words far ones', async () => {
  const client = openRouter(sandbox, 'sk-or-v1-one-0001');
  const { data: made, usage } = await client.embeddings.create({
    model: 'openai/text-embedding-3-small',
    input: [
      'fresh coffee from the mountains',
      'coffee from the mountain',
      'parcel tracking number',
    ],
    encoding_format: 'float',
  });
  const [first = [], second = [], third = []] = made.map(({ embedding }) => embedding);
  const dot = (one: number[], other: number[]) =>
    one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
  expect(first).toHaveLength(1_536);
  expect(dot(first, first)).toBeCloseTo(1, 9);
  expect(dot(first, second)).toBeGreaterThan(0.6);
  expect(Math.abs(dot(first, third))).toBeLessThan(0.3);
  expect(usage.prompt_tokens).toBeGreaterThan(0);
});

test('a picture is one', async () => {
  const json = { model: 'black-forest-labs/flux.2-pro', prompt: 'a red bell', n: 2 };
  const { status, text } = await raw(sandbox, '/images', { secret: 'sk-or-v1-one-0001', json });
  const body: { data: { b64_json: string; media_type: string }[]; usage: { cost: number } } =
    JSON.parse(text);
  expect(status).toBe(200);
  expect(body.usage.cost).toBeCloseTo(0.06, 9);
  expect(body.data).toHaveLength(2);
  const bytes = Buffer.from(body.data[0]?.b64_json ?? '', 'base64');
  expect(bytes.subarray(1, 4).toString()).toBe('PNG');
  expect(bytes.subarray(-8, -4).toString()).toBe('IEND');
});

test('no answer of the control API shows a secret', async () => {
  const accounts = await api<unknown>(sandbox, '/openrouter/accounts');
  expect(JSON.stringify(accounts)).not.toContain('sk-or');
  expect(secretOf('north-1')).toMatch(/^sk-or-v1-/);
});

test('everything is as at the start after a reset', async () => {
  await chat('sk-or-v1-one-0001');
  await api(sandbox, '/openrouter/keys/one-1', 'PUT', { isRevoked: true });
  await api(sandbox, '/openrouter/reset', 'POST');
  expect((await callsOf(sandbox)).items).toEqual([]);
  expect(await data('/credits', MANAGEMENT)).toMatchObject({ total_usage: 0 });
  expect((await chat('sk-or-v1-one-0001')).status).toBe(200);
});
