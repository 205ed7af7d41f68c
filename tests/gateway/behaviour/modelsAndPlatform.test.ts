import { createServer } from 'node:net';
import type { ChatAsk } from '../../../gateway/types';
import type { OpenRouterFaultName } from '../../../sandbox';
import { until } from '../../support/conditions';
import { knows, models, read, shown, told } from '../../support/llmGround';
import { onLlmGround } from './here';

const here = onLlmGround();

const served = { model: models.main, hasText: true };
const other = { fallbackModels: [models.other] };

const chat = (changes: Partial<ChatAsk> = {}) =>
  told(here.llm.gateway.chat(here.tenant.ask(changes)));

async function health() {
  await here.llm.ring.flush();
  return here.tenant.health();
}

/** What was called: keys by their number in the order they came, models but the main, statuses. */
async function called(): Promise<string[]> {
  const calls = await here.tenant.calls();
  const keys = [...new Set(calls.map(({ key }) => key))];
  return shown(calls.map((call) => ({ ...call, key: `key ${keys.indexOf(call.key) + 1}` })));
}

async function accountsCalled(): Promise<(string | null)[]> {
  return (await here.tenant.calls()).map(({ account }) => account);
}

test.each<[string, OpenRouterFaultName]>([
  ['404 no_endpoints', 'noEndpoints'],
  ['404 deprecated', 'modelDeprecated'],
  ['404 privacy', 'privacyConstraint'],
  ['404 constraint', 'parameterConstraint'],
])('%s: the model that its vendor names; this one is off for ten minutes', async (_, fault) => {
  const named = ['x/unknown', models.free, models.large];
  await here.ground.faults({ fault, model: models.main, fallbackModels: named });
  const either = { fallbackModels: [models.other, models.large] };
  expect(await chat(either)).toEqual({ model: models.large, attempts: 2, hasText: true });
  expect(await called()).toEqual(['key 1 404', `key 2 ${models.large} 200`]);
  const { [`model ${models.main}`]: row, ...others } = await health();
  expect(others).toEqual({});
  expect(row).toMatchObject({ state: 'cooling', reason: 'modelUnavailable' });
  expect((row?.until?.getTime() ?? 0) - Date.now()).toBeGreaterThan(590_000);
  // It is not asked again, by whichever key.
  expect(await chat(other)).toMatchObject({ model: models.other, attempts: 1 });
  expect(await chat({ priority: 'bulk' })).toMatchObject({ code: 'llmUnavailable' });
  expect(await called()).toHaveLength(3);

  await here.ground.faults();
  await here.ground.pass(here.llm, here.tenant);
  expect(await chat(other)).toMatchObject({ ...served, attempts: 1 });
  expect(await health()).toEqual({});
});

test('404: what its vendor names serves nobody who did not ask for it', async () => {
  const fault = { fault: 'noEndpoints' as const, fallbackModels: [models.large] };
  await here.ground.faults({ ...fault, model: models.main }, { ...fault, model: models.embedding });
  expect(await chat(other)).toMatchObject({ model: models.other });
  expect(await chat({ fallbackModels: [], priority: 'bulk' })).toMatchObject({
    code: 'llmUnavailable',
  });
  await here.llm.gateway
    .embed({ ...here.tenant.ask(), model: models.embedding, inputs: ['lamp'], dimensions: null })
    .catch(() => undefined);
  expect((await here.tenant.calls()).map(({ model }) => model)).not.toContain(models.large);
});

test('404 without a model in its place fails with when to come back', async () => {
  await here.ground.faults({ fault: 'noEndpoints', model: models.main });
  const got = await chat();
  expect(got).toMatchObject({ code: 'llmUnavailable', because: 'modelUnavailable' });
  expect(got['retryAfterSeconds']).toBeGreaterThan(590);
  expect(await called()).toEqual(['key 1 404']);
});

test.each<[string, OpenRouterFaultName, number]>([
  ['408', 'requestTimeout', 408],
  ['504', 'gatewayTimeout', 504],
  ['524', 'edgeTimeout', 524],
])('%s timeout: once more with another key, then a fallback model', async (_, fault, status) => {
  await here.ground.faults({ fault, model: models.main });
  expect(await chat(other)).toEqual({ model: models.other, attempts: 3, hasText: true });
  const accounts = await accountsCalled();
  expect(accounts[1]).not.toBe(accounts[0]);
  const calls = await here.tenant.calls();
  expect(calls.map((call) => call.status)).toEqual([status, status, 200]);
  expect(new Set(calls.map(({ key }) => key)).size).toBe(3);
  expect(await health()).toEqual({});
  await here.ground.faults();
  expect(await chat(other)).toMatchObject({ ...served, attempts: 1 });
});

test('429 of the model’s provider, over soon: the same key after its wait', async () => {
  await here.ground.faults({ fault: 'upstreamRateLimit', count: 1, retryAfterSeconds: 1 });
  expect(await chat(other)).toMatchObject({ ...served, attempts: 2 });
  expect(await called()).toEqual(['key 1 429', 'key 1 200']);
  const [first, second] = await here.tenant.calls();
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1_000);
  expect(await health()).toEqual({});
});

test.each<[string, OpenRouterFaultName]>([
  ['provider_code', 'upstreamRateLimit'],
  ['capacity_exhausted', 'capacityExhausted'],
])(
  '429 of the model’s provider (%s), longer: a fallback model; this one cools',
  async (_, fault) => {
    await here.ground.faults({ fault, model: models.main, retryAfterSeconds: 4 });
    expect(await chat(other)).toMatchObject({ model: models.other, attempts: 2 });
    expect(await called()).toEqual(['key 1 429', `key 2 ${models.other} 200`]);
    const { [`model ${models.main}`]: row, ...others } = await health();
    expect(others).toEqual({});
    expect(row).toMatchObject({ state: 'cooling', reason: 'upstreamRateLimit' });
    // No key is asked for it meanwhile.
    expect(await chat(other)).toMatchObject({ model: models.other, attempts: 1 });
    expect(await called()).toHaveLength(3);

    await here.ground.faults();
    await until('its time is over', () => (row?.until?.getTime() ?? 0) < Date.now());
    expect(await chat(other)).toMatchObject({ ...served, attempts: 1 });
    expect(await health()).toEqual({});
  },
);

test('429 of the model’s provider without another model: what is left is told', async () => {
  await here.ground.faults({ fault: 'upstreamRateLimit', retryAfterSeconds: 30 });
  const got = await chat();
  expect(got).toMatchObject({ code: 'llmUnavailable', because: 'upstreamRateLimit' });
  expect(got['retryAfterSeconds']).toBeGreaterThan(20);
  expect(got['retryAfterSeconds']).toBeLessThanOrEqual(30);
  expect(await called()).toEqual(['key 1 429']);
});

test.each<[string, OpenRouterFaultName]>([
  ['429', 'edgeRateLimit'],
  ['1015', 'edgeBan'],
])(
  '%s as a page of the edge: waits for different times; half of the calls for a while',
  async (_, fault) => {
    await here.ground.faults({ fault, count: 1 });
    expect(await chat()).toMatchObject({ ...served, attempts: 2 });
    const [first, second] = await here.tenant.calls();
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(200);
    expect(await health()).toMatchObject({
      platform: { state: 'draining', reason: 'edgeRateLimit' },
    });
    expect(await chat()).toMatchObject({ ...served, attempts: 1 });
  },
);

test.each<[string, OpenRouterFaultName, number]>([
  ['500', 'serverError', 500],
  ['502', 'badGateway', 502],
  ['503', 'unavailable', 503],
  ['529', 'overloaded', 529],
])('%s: the same key once after a moment, then a fallback model', async (_, fault, status) => {
  await here.ground.faults({ fault, count: 1 });
  expect(await chat(other)).toMatchObject({ ...served, attempts: 2 });
  expect(await called()).toEqual([`key 1 ${status}`, 'key 1 200']);
  const [first, second] = await here.tenant.calls();
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(200);

  await here.ground.faults({ fault, model: models.main });
  expect(await chat(other)).toMatchObject({ model: models.other, attempts: 3 });
  const after = (await here.tenant.calls()).slice(2);
  expect(after.map((call) => call.status)).toEqual([status, status, 200]);
  expect(after[1]?.key).toBe(after[0]?.key);
  expect(after[2]?.key).not.toBe(after[0]?.key);
  expect(await health()).toEqual({});
});

test('500 without another model: another account, as long as the model serves others', async () => {
  await here.ground.faults({ fault: 'serverError', account: 'north' });
  for (let n = 0; (await accountsCalled()).every((account) => account !== 'north'); n += 1) {
    expect(await chat()).toMatchObject(served);
    expect(n).toBeLessThan(40);
  }
  expect((await accountsCalled()).slice(-3)).toEqual(['north', 'north', 'south']);
});

test('500 of half of ten calls: the model is left alone, tried by one call, and asked again', async () => {
  await here.ground.faults({ fault: 'serverError', model: models.main });
  while (here.llm.ring.modelDown(here.tenant.id, models.main) === null) {
    await chat(other);
  }
  const { [`model ${models.main}`]: row } = await health();
  expect(row).toMatchObject({ state: 'cooling', reason: 'serverError' });
  const before = (await here.tenant.calls()).length;
  expect(before).toBeLessThan(40);
  expect(await chat(other)).toMatchObject({ model: models.other, attempts: 1 });

  await here.ground.faults();
  await until('its time is over', () => (row?.until?.getTime() ?? 0) < Date.now());
  expect(await chat(other)).toMatchObject({ ...served, attempts: 1 });
  expect(await health()).toEqual({});
});

test('nobody connects: another account at once, over another connection', async () => {
  const refused = await closedPort();
  here.tenant = await here.ground.tenant(['north', 'south'], {
    baseUrls: { north: `http://127.0.0.1:${refused}/api/v1` },
  });
  await knows(here.llm, here.tenant);
  for (let n = 0; n < 8; n += 1) {
    expect(await chat()).toMatchObject(served);
  }
  const calls = await here.tenant.calls();
  expect(calls.every(({ account }) => account === 'south')).toBe(true);
  await here.llm.ledger.flush();
  const tried: { attempts: number; failure_kind: string | null; account_id: string }[] =
    await here.ground.database.db('llm_attempts').where({ tenant_id: here.tenant.id });
  const missed = tried.filter(({ failure_kind: kind }) => kind !== null);
  expect(missed.length).toBeGreaterThan(0);
  expect(missed.every(({ failure_kind: kind }) => kind === 'unreachable')).toBe(true);
});

test('nobody connects anywhere: two more attempts, then it fails', async () => {
  const refused = `http://127.0.0.1:${await closedPort()}/api/v1`;
  here.tenant = await here.ground.tenant(['north', 'south'], {
    baseUrls: { north: refused, south: refused },
  });
  await knows(here.llm, here.tenant);
  const got = await chat({ priority: 'bulk' });
  expect(got).toMatchObject({ because: 'unreachable' });
  expect(await here.tenant.record()).toMatchObject({
    outcome: 'failed',
    failure_kind: 'unreachable',
    attempts: 3,
    cost_micros: 0,
  });
});

test('no first token within the limit: called off, another account; comments are no tokens', async () => {
  await here.ground.faults({ fault: 'firstTokenLate', count: 1, latencyMs: 8_000 });
  const asked = here.tenant.ask({ firstTokenMs: 400, consumer: 'raw' });
  const { error, answer } = await read(here.llm.gateway.stream(asked));
  expect(error).toBeNull();
  expect(answer).toMatchObject({ model: models.main, attempts: 2 });
  const [late, good] = await here.tenant.calls();
  expect(good?.account).not.toBe(late?.account);
  expect((good?.at ?? 0) - (late?.at ?? 0)).toBeGreaterThanOrEqual(390);
  await until('it was called off', async () => (await here.tenant.calls())[0]?.end === 'aborted');
  // Its prompt may have been read and billed, and the vendor does not tell.
  expect(await here.tenant.record()).toMatchObject({
    outcome: 'succeeded',
    cost_source: 'estimate',
  });
  expect(await health()).toEqual({});
});

test.each<[string, OpenRouterFaultName, number, string[]]>([
  ['an error of 502', 'errorInBody', 502, ['key 1 200', 'key 1 200', `key 2 ${models.other} 200`]],
  ['an error of 429', 'errorFinish', 429, ['key 1 200', `key 2 ${models.other} 200`]],
])('200 that is %s: as that code', async (_, fault, code, calls) => {
  await here.ground.faults({ fault, code, model: models.main });
  expect(await chat(other)).toMatchObject({ model: models.other });
  expect(await called()).toEqual(calls);
  expect(await here.tenant.record()).toMatchObject({ outcome: 'succeeded', cost_source: 'vendor' });
});

test('200 that says nothing: once more, then a fallback model', async () => {
  await here.ground.faults({ fault: 'emptyContent', count: 1 });
  expect(await chat(other)).toMatchObject({ ...served, attempts: 2 });
  await here.ground.faults({ fault: 'emptyContent', model: models.main });
  expect(await chat(other)).toMatchObject({ model: models.other, attempts: 3 });
  expect(await called()).toHaveLength(5);
  expect(await health()).not.toHaveProperty(`model ${models.main}`);
});

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
