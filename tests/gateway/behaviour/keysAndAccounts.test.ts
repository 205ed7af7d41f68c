import type { ChatAsk } from '../../../gateway/types';
import type { OpenRouterCall } from '../../../sandbox';
import { until } from '../../support/conditions';
import { knows, models, told } from '../../support/llmGround';
import { onLlmGround } from './here';

const here = onLlmGround();

const served = { model: models.main, hasText: true };

/** Asks until a request met what is wrong; answers its calls, after having looked at its end. */
async function meet(
  isMet: (call: OpenRouterCall) => boolean,
  changes: Partial<ChatAsk> = {},
): Promise<OpenRouterCall[]> {
  for (let n = 0; n < 60; n += 1) {
    const before = (await here.tenant.calls()).length;
    expect(await told(here.llm.gateway.chat(here.tenant.ask(changes)))).toMatchObject(served);
    const calls = (await here.tenant.calls()).slice(before);
    if (calls.some(isMet)) {
      return calls;
    }
  }
  throw new Error('no request met it');
}

/** Asks so often, all of which is served; answers by how many calls of each key. */
async function ask(times: number, changes: Partial<ChatAsk> = {}): Promise<Record<string, number>> {
  const before = (await here.tenant.calls()).length;
  for (let n = 0; n < times; n += 1) {
    expect(await told(here.llm.gateway.chat(here.tenant.ask(changes)))).toMatchObject({
      hasText: true,
    });
  }
  const counts: Record<string, number> = {};
  for (const { key } of (await here.tenant.calls()).slice(before)) {
    counts[key ?? ''] = (counts[key ?? ''] ?? 0) + 1;
  }
  return counts;
}

async function health() {
  await here.llm.ring.flush();
  return here.tenant.health();
}

/** Asks until the key has served again. */
async function servesAgain(key: string): Promise<void> {
  await until(`${key} serves`, async () => ((await ask(3))[key] ?? 0) > 0);
}

const isRefused = ({ status }: OpenRouterCall) => status !== 200;
const accountOf = (call: OpenRouterCall | undefined) => call?.account;

test('401 authentication: another key at once; the key cools until somebody asked about it', async () => {
  await here.ground.faults({ fault: 'unauthorized', key: 'north-1' });
  const calls = await meet(isRefused);
  expect(calls.map(({ key, status }) => [key === 'north-1', status])).toEqual([
    [true, 401],
    [false, 200],
  ]);
  expect(await health()).toEqual({
    'key north-1': { state: 'cooling', reason: 'authentication', until: expect.any(Date) },
  });
  const [row] = await here.ground.database.db('llm_health').where({ tenant_id: here.tenant.id });
  expect(row.evidence).toMatchObject({ verify: true, status: 401 });
  expect(await ask(20)).not.toHaveProperty('north-1');

  await here.ground.faults();
  await here.ground.pass(here.llm, here.tenant);
  await servesAgain('north-1');
  expect(await health()).toEqual({});
});

test('401 of more than half of the keys: the platform is at fault, and no key is suspended', async () => {
  await here.ground.faults({ fault: 'unauthorized' });
  const got = await told(here.llm.gateway.chat(here.tenant.ask()));
  expect(got).toMatchObject({
    kind: 'unavailable',
    code: 'llmUnavailable',
    because: 'authentication',
  });
  expect(got['retryAfterSeconds']).toBeGreaterThan(20);
  const calls = await here.tenant.calls();
  expect(new Set(calls.map(({ key }) => key)).size).toBe(6);
  expect(calls).toHaveLength(6);
  const { platform, ...keys } = await health();
  expect(platform).toMatchObject({ state: 'draining', reason: 'authentication' });
  expect(Object.values(keys)).toEqual(
    Array.from({ length: 6 }, () => ({
      state: 'cooling',
      reason: 'authentication',
      until: expect.any(Date),
    })),
  );
  // The next one is told at once what is left; it calls nobody.
  expect(await told(here.llm.gateway.chat(here.tenant.ask({ priority: 'bulk' })))).toMatchObject({
    code: 'llmUnavailable',
  });
  expect(await here.tenant.calls()).toHaveLength(calls.length);

  await here.ground.faults();
  await here.ground.pass(here.llm, here.tenant);
  expect(Object.keys(await ask(60)).length).toBe(6);
  expect(await health()).toEqual({});
});

test('402 openrouter_credits: another account; all keys of this one are suspended', async () => {
  await here.ground.faults({ fault: 'outOfCredits', account: 'north' });
  const calls = await meet(isRefused);
  expect(calls.map(({ account, status }) => [account, status])).toEqual([
    ['north', 402],
    ['south', 200],
  ]);
  expect(await health()).toEqual({
    'account north': { state: 'suspended', reason: 'credits', until: null },
  });
  expect(
    here.llm.ring
      .snapshot()
      .filter(({ accountId }) => accountId === here.tenant.ids['north'])
      .map(({ state, reason }) => [state, reason]),
  ).toEqual([
    ['suspended', 'credits'],
    ['suspended', 'credits'],
    ['suspended', 'credits'],
  ]);
  expect(Object.keys(await ask(20)).every((key) => key.startsWith('south'))).toBe(true);

  await here.ground.faults();
  await here.ground.probed(here.llm, here.tenant, {
    scope: 'account',
    accountId: here.tenant.ids['north'] ?? '',
    keyId: null,
    model: null,
  });
  await servesAgain('north-1');
  expect(await health()).toEqual({});
});

test('402 openrouter_key_limit: another key, of the same account too; the key is suspended', async () => {
  here.tenant = await here.ground.tenant(['north']);
  await knows(here.llm, here.tenant);
  await here.ground.faults({ fault: 'keyLimit', key: 'north-2' });
  const calls = await meet(isRefused);
  expect(calls.map(({ key, status }) => [key === 'north-2', status])).toEqual([
    [true, 402],
    [false, 200],
  ]);
  expect(await health()).toMatchObject({
    'key north-2': { state: 'suspended', reason: 'keyLimit' },
  });
  expect(await ask(10)).not.toHaveProperty('north-2');

  await here.ground.faults();
  await here.ground.probed(here.llm, here.tenant, {
    scope: 'key',
    accountId: here.tenant.ids['north'] ?? '',
    keyId: here.tenant.ids['north-2'] ?? '',
    model: null,
  });
  await servesAgain('north-2');
  expect(await health()).toEqual({});
});

test('402 openrouter_in_flight_budget: another account; this one cools as long as it says', async () => {
  await here.ground.faults({ fault: 'inFlightBudget', account: 'north', retryAfterSeconds: 40 });
  const calls = await meet(isRefused);
  expect(calls.map(({ account, status }) => [account, status])).toEqual([
    ['north', 402],
    ['south', 200],
  ]);
  const { 'account north': row } = await health();
  expect(row).toMatchObject({ state: 'cooling', reason: 'inFlightBudget' });
  const [refused] = calls;
  const coolsMs = (row?.until?.getTime() ?? 0) - (refused?.at ?? 0);
  // Two seconds where the vendor says nothing, and never more than a minute.
  expect(coolsMs).toBeGreaterThanOrEqual(40_000);
  expect(coolsMs).toBeLessThan(60_000);

  await here.ground.faults();
  await here.ground.pass(here.llm, here.tenant);
  await servesAgain('north-1');
  expect(await health()).toEqual({});
});

test('402 openrouter_in_flight_budget: without another account its wait is waited', async () => {
  here.tenant = await here.ground.tenant(['north']);
  await knows(here.llm, here.tenant);
  await here.ground.faults({ fault: 'inFlightBudget', count: 1, retryAfterSeconds: 1 });
  expect(await told(here.llm.gateway.chat(here.tenant.ask()))).toMatchObject({
    ...served,
    attempts: 2,
  });
  const [first, second] = await here.tenant.calls();
  expect(second?.key).toBe(first?.key);
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1_000);
  expect(await health()).toEqual({});
});

test('402 weight_exceeds_budget: another account, and nothing changes', async () => {
  await here.ground.faults({ fault: 'weightExceedsBudget', account: 'north' });
  const calls = await meet(isRefused);
  expect(calls.map(({ account, status }) => [account, status])).toEqual([
    ['north', 402],
    ['south', 200],
  ]);
  expect(await health()).toEqual({});
});

test('402 weight_exceeds_budget: without a larger balance fewer tokens are asked for, then it fails', async () => {
  here.tenant = await here.ground.tenant(['north']);
  await knows(here.llm, here.tenant);
  await here.ground.faults({ fault: 'weightExceedsBudget', count: 1 });
  expect(await told(here.llm.gateway.chat(here.tenant.ask()))).toMatchObject({
    ...served,
    attempts: 2,
  });
  const [first, second] = await here.tenant.calls();
  expect(second?.key).toBe(first?.key);

  await here.ground.faults({ fault: 'weightExceedsBudget' });
  expect(await told(here.llm.gateway.chat(here.tenant.ask()))).toEqual({
    kind: 'providerFailed',
    code: 'llmFailed',
    because: 'exceedsBalance',
  });
  expect(await here.tenant.calls()).toHaveLength(4);
  expect(await health()).toEqual({});
});

test('400 token_limit_exceeded: fewer tokens with the same key; the account is drained', async () => {
  await here.ground.faults({ fault: 'tokenLimitExceeded', account: 'north', count: 1 });
  const calls = await meet(isRefused);
  expect(calls.map(({ status }) => status)).toEqual([400, 200]);
  expect(calls[1]?.key).toBe(calls[0]?.key);
  expect(await health()).toMatchObject({
    'account north': { state: 'draining', reason: 'tokenLimit' },
  });
  expect(Object.keys(await ask(10)).every((key) => key.startsWith('south'))).toBe(true);

  await here.ground.probed(here.llm, here.tenant, {
    scope: 'account',
    accountId: here.tenant.ids['north'] ?? '',
    keyId: null,
    model: null,
  });
  await servesAgain('north-1');
});

test('400 token_limit_exceeded: with fewer tokens too, another account serves', async () => {
  await here.ground.faults({ fault: 'tokenLimitExceeded', account: 'north' });
  const calls = await meet(isRefused);
  expect(calls.map(({ account, status }) => [account, status])).toEqual([
    ['north', 400],
    ['north', 400],
    ['south', 200],
  ]);
  expect(calls[1]?.key).toBe(calls[0]?.key);
});

test.each(['workspaceBudget', 'guardrailBudget', 'keyBudget'] as const)(
  '403 budget exceeded (%s): another key; the key is suspended until it resets',
  async (fault) => {
    await here.ground.faults({ fault, key: 'south-2', resetsInSeconds: 600 });
    const calls = await meet(isRefused);
    expect(calls.map(({ key, status }) => [key === 'south-2', status])).toEqual([
      [true, 403],
      [false, 200],
    ]);
    const { 'key south-2': row } = await health();
    expect(row).toMatchObject({ state: 'suspended', reason: 'budgetSpent' });
    expect((row?.until?.getTime() ?? 0) - Date.now()).toBeGreaterThan(550_000);
    expect(await ask(15)).not.toHaveProperty('south-2');

    await here.ground.faults();
    await here.ground.probed(here.llm, here.tenant, {
      scope: 'key',
      accountId: here.tenant.ids['south'] ?? '',
      keyId: here.tenant.ids['south-2'] ?? '',
      model: null,
    });
    await servesAgain('south-2');
  },
);

test('403 budget exceeded: no key of the same workspace is asked', async () => {
  await here.ground.database
    .db('llm_keys')
    .whereIn(
      'id',
      [here.tenant.ids['south-1'], here.tenant.ids['south-2']].map((id) => id ?? ''),
    )
    .update({ workspace: 'shop' });
  here.llm = await here.ground.process();
  await here.ground.faults({ fault: 'workspaceBudget', key: 'south-1', resetsInSeconds: 600 });
  await meet(isRefused);
  const after = await ask(20);
  expect(after).not.toHaveProperty('south-1');
  expect(after).not.toHaveProperty('south-2');
  expect(after).toHaveProperty('south-3');
});

test('429 of the platform: another account and no sibling; the account cools until its reset', async () => {
  await here.ground.faults({ fault: 'platformRateLimit', account: 'north', resetsInSeconds: 3 });
  const calls = await meet(isRefused);
  expect(calls.map(({ account, status }) => [account, status])).toEqual([
    ['north', 429],
    ['south', 200],
  ]);
  const { 'account north': row } = await health();
  expect(row).toMatchObject({ state: 'cooling', reason: 'platformRateLimit' });
  expect(Object.keys(await ask(5)).every((key) => key.startsWith('south'))).toBe(true);

  await here.ground.faults();
  await until('its time is over', () => (row?.until?.getTime() ?? 0) < Date.now());
  await servesAgain('north-2');
  expect(await health()).toEqual({});
});

test('429 of the platform for free models: a paid one with the same account', async () => {
  here.tenant = await here.ground.tenant(['north']);
  await knows(here.llm, here.tenant);
  await here.ground.faults({ fault: 'freeRateLimit', model: models.free, resetsInSeconds: 600 });
  const asked = here.tenant.ask({ model: models.free, fallbackModels: [models.other] });
  expect(await told(here.llm.gateway.chat(asked))).toEqual({
    model: models.other,
    attempts: 2,
    hasText: true,
  });
  const { 'accountModel north :free': row } = await health();
  expect(row).toMatchObject({ state: 'cooling', reason: 'platformRateLimit' });
  expect((row?.until?.getTime() ?? 0) - Date.now()).toBeGreaterThan(550_000);
  // Free ones are not asked again, and others are as ever.
  expect(await told(here.llm.gateway.chat(asked))).toMatchObject({
    model: models.other,
    attempts: 1,
  });
  expect((await here.tenant.calls()).filter(({ model }) => model === models.free)).toHaveLength(1);

  await here.ground.faults();
  await here.ground.pass(here.llm, here.tenant);
  expect(await told(here.llm.gateway.chat(asked))).toMatchObject({ model: models.free });
  expect(await health()).toEqual({});
});

test('403 region_restricted: a fallback model; the pair of account and model is off for a day', async () => {
  await here.ground.faults({ fault: 'regionRestricted', model: models.main });
  expect(
    await told(here.llm.gateway.chat(here.tenant.ask({ fallbackModels: [models.other] }))),
  ).toEqual({
    model: models.other,
    attempts: 2,
    hasText: true,
  });
  const [refused] = await here.tenant.calls();
  const { [`accountModel ${accountOf(refused)} ${models.main}`]: row, ...others } = await health();
  expect(others).toEqual({});
  expect(row).toMatchObject({ state: 'cooling', reason: 'notPermitted' });
  expect((row?.until?.getTime() ?? 0) - Date.now()).toBeGreaterThan(23 * 60 * 60_000);
  // The account serves other models as before.
  expect(Object.keys(await ask(20, { model: models.other })).length).toBe(6);

  await here.ground.faults();
  await here.ground.pass(here.llm, here.tenant);
  await until('it serves', async () => {
    await ask(4);
    return Object.keys(await health()).length === 0;
  });
});
