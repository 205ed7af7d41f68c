import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import type { ChatAsk } from '../../../gateway/types';
import { createLogger } from '../../../lib/logger';
import { DEMO_OPENROUTER_ACCOUNTS, openRouterFaults, type OpenRouterCall } from '../../../sandbox';
import { until } from '../../support/conditions';
import { knows, models, read, told } from '../../support/llmGround';
import { onLlmGround } from './here';

const here = onLlmGround();

const chat = (changes: Partial<ChatAsk> = {}) =>
  told(here.llm.gateway.chat(here.tenant.ask(changes)));

/** How often each key was called for a model by each conversation. */
function callsOfEach(calls: readonly OpenRouterCall[]): number[] {
  const counts = new Map<string, number>();
  for (const { session, key, model } of calls) {
    const name = `${session} ${key} ${model}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts.values()];
}

test('all accounts unusable: whoever waits for an answer waits for a key, and gets one', async () => {
  await here.ground.faults({ fault: 'platformRateLimit', forMs: 1_500 });
  const [first, second] = await Promise.all([chat(), chat()]);
  expect(first).toMatchObject({ hasText: true });
  expect(second).toMatchObject({ hasText: true });
  await here.llm.ring.flush();
  expect(await chat()).toMatchObject({ hasText: true });
});

test('all accounts unusable: after three seconds it is told when to come back', async () => {
  await here.ground.faults({ fault: 'platformRateLimit', resetsInSeconds: 30 });
  await chat();
  const before = (await here.tenant.calls()).length;
  const from = Date.now();
  const got = await chat();
  expect(Date.now() - from).toBeGreaterThanOrEqual(2_900);
  expect(got).toMatchObject({ kind: 'unavailable', code: 'llmUnavailable' });
  expect(got['retryAfterSeconds']).toBeGreaterThan(15);
  expect(got['retryAfterSeconds']).toBeLessThanOrEqual(30);
  // Others are told at once, and nobody's call is spent on it.
  const waits = jest.spyOn(here.llm.ring, 'changed');
  expect(await chat({ priority: 'bulk' })).toMatchObject({ code: 'llmUnavailable' });
  expect(waits).not.toHaveBeenCalled();
  expect(await here.tenant.calls()).toHaveLength(before);
  expect(await here.tenant.record()).toMatchObject({
    outcome: 'failed',
    attempts: 0,
    cost_micros: 0,
  });
});

test('without a key, and without one for the model, it is said so', async () => {
  const bare = await here.ground.tenant([]);
  await until('the process knows', () => here.llm.ring.poolsOf(bare.id).includes(bare.id));
  expect(await told(here.llm.gateway.chat(bare.ask()))).toEqual({
    kind: 'unavailable',
    code: 'llmUnavailable',
  });
  await here.ground.database
    .db('llm_keys')
    .where({ tenant_id: here.tenant.id })
    .update({ allowed_models: [models.other] });
  here.llm = await here.ground.process();
  expect(await chat()).toMatchObject({ kind: 'invalid', field: 'model modelNotAllowed' });
  expect(await chat({ fallbackModels: [models.other] })).toMatchObject({ model: models.other });
});

test('a deadline is kept, whatever is still to be tried', async () => {
  await here.ground.faults({ latencyMs: 600_000 });
  expect(await chat({ deadlineMs: 700 })).toEqual({ kind: 'tooSlow', code: 'llmTooSlow' });
  await here.ground.faults({ fault: 'platformRateLimit', resetsInSeconds: 30 });
  await chat({ priority: 'bulk' });
  const waits = jest.spyOn(here.llm.ring, 'changed');
  await chat({ deadlineMs: 500 });
  expect(waits).toHaveBeenCalled();
  expect(waits.mock.calls.filter(([waitsMs]) => waitsMs > 500)).toEqual([]);
});

test('a key that hangs costs waits to the first token, twice, and is left alone then', async () => {
  await here.ground.faults({ fault: 'hang', key: 'south-3' });
  const hung = async () =>
    (await here.tenant.calls()).filter(({ key }) => key === 'south-3').length;
  const isCooling = () =>
    here.llm.ring
      .snapshot()
      .some(({ keyId, state }) => keyId === here.tenant.ids['south-3'] && state === 'cooling');
  const answeredBy: unknown[] = [];
  for (let n = 0; !isCooling(); n += 1) {
    expect(n).toBeLessThan(100);
    const before = await hung();
    expect(await chat({ firstTokenMs: 500 })).toMatchObject({ hasText: true });
    if ((await hung()) > before) {
      answeredBy.push((await here.tenant.calls()).at(-1)?.account);
    }
  }
  expect(await hung()).toBe(2);
  expect(answeredBy).toEqual(['north', 'north']);
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toMatchObject({
    'key south-3': { state: 'cooling', reason: 'firstTokenTimeout' },
  });

  await here.ground.faults();
  await here.ground.pass(here.llm, here.tenant);
  await until('it serves', async () => {
    await chat();
    return (await hung()) > 2;
  });
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toEqual({});
});

test('a deadline that is nearly over is not held against a key', async () => {
  await here.ground.faults({ latencyMs: 3_000 });
  for (let n = 0; n < 4; n += 1) {
    expect(await chat({ deadlineMs: 200 })).toMatchObject({ code: 'llmTooSlow' });
  }
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toEqual({});
});

test('one account out of credit under load: nobody notices, and nothing is asked of it again', async () => {
  await here.ground.faults({ latencyMs: 5 });
  const asked: Promise<unknown>[] = [];
  for (let n = 0; n < 400; n += 1) {
    if (n === 100) {
      await here.ground.faults({ fault: 'outOfCredits', account: 'north' }, { latencyMs: 5 });
    }
    asked.push(chat({ conversation: `c${n}`, priority: 'transactional' }));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const got = await Promise.all(asked);
  expect(got.filter((one) => !Object.hasOwn(Object(one), 'hasText'))).toEqual([]);
  const calls = await here.tenant.calls();
  const refused = calls.filter(({ status }) => status === 402);
  const [first] = refused;
  expect(first).toBeDefined();
  // Only what was on its way when the first was refused.
  const heardAt = (first?.endedAt ?? 0) + 100;
  expect(refused.filter(({ at }) => at > heardAt)).toEqual([]);
  expect(refused.length).toBeLessThanOrEqual(5);
  expect(Math.max(...callsOfEach(calls))).toBe(1);
});

test('no key is asked twice for a model by a request, whatever fails', async () => {
  let all = 0;
  for (let seed = 0; seed < 15; seed += 1) {
    here.tenant = await here.ground.tenant();
    await knows(here.llm, here.tenant);
    await here.ground.faults(
      { fault: 'unauthorized', key: 'north-1', share: 0.5, seed: `a${seed}` },
      { fault: 'requestTimeout', share: 0.2, seed: `b${seed}` },
      { fault: 'emptyContent', share: 0.2, seed: `c${seed}` },
      { fault: 'keyLimit', key: 'south-2', share: 0.5, seed: `d${seed}` },
      { fault: 'keyBudget', key: 'south-3', share: 0.5, seed: `e${seed}`, resetsInSeconds: 60 },
      { fault: 'cutBeforeFirstChunk', share: 0.1, seed: `f${seed}` },
    );
    for (let n = 0; n < 6; n += 1) {
      await chat({ conversation: `c${n}`, fallbackModels: [models.other] });
    }
    const calls = await here.tenant.calls();
    expect(Math.max(...callsOfEach(calls))).toBe(1);
    all += calls.length;
  }
  expect(all).toBeGreaterThan(15 * 6 + 20);
});

test('retries of a process end where they would make an outage worse', async () => {
  await here.ground.faults({ fault: 'requestTimeout' });
  await Promise.all(
    Array.from({ length: 20 }, () => chat({ priority: 'bulk', fallbackModels: [models.other] })),
  );
  // Ten retries in ten seconds, beside the first attempts.
  expect((await here.tenant.calls()).length).toBeLessThanOrEqual(30);
  // Others have their own.
  here.tenant = await here.ground.tenant();
  await knows(here.llm, here.tenant);
  await chat({ fallbackModels: [models.other] });
  expect((await here.tenant.calls()).length).toBeGreaterThan(2);
});

test('an account that is limited while many are on their way is nobody’s loss', async () => {
  await here.ground.faults({ fault: 'platformRateLimit', account: 'north', resetsInSeconds: 60 });
  const got = await Promise.all(Array.from({ length: 100 }, () => chat()));
  expect(got.filter((one) => !Object.hasOwn(one, 'hasText'))).toEqual([]);
});

test('no key is in any error or log line, whatever goes wrong', async () => {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const logger = createLogger({ name: 'test', level: 'trace', destination });
  here.llm = await here.ground.process({ logger, idleMs: 300 });
  const thrown: unknown[] = [];
  for (const fault of openRouterFaults) {
    here.tenant = await here.ground.tenant();
    await knows(here.llm, here.tenant);
    await here.ground.faults({
      fault,
      latencyMs: 0,
      message: 'sk-or-v1-canary',
      resetsInSeconds: 1,
    });
    const ask = here.tenant.ask({
      deadlineMs: 1_500,
      firstTokenMs: 300,
      priority: 'bulk',
      consumer: 'raw',
      messages: [{ role: 'user', content: 'a very private prompt' }],
    });
    await here.llm.gateway.chat(ask).catch((error: unknown) => thrown.push(error));
    thrown.push((await read(here.llm.gateway.stream(ask))).error);
  }
  await here.llm.ring.flush();
  expect(thrown.filter((error) => error instanceof Error).length).toBeGreaterThan(30);
  const all = [...thrown.map((error) => inspect(error, { depth: 10, showHidden: true })), ...lines];
  const secrets = DEMO_OPENROUTER_ACCOUNTS.flatMap(({ keys }) => keys.map(({ secret }) => secret));
  for (const secret of [...secrets, 'sk-or-', 'a very private prompt']) {
    expect(all.filter((text) => text.includes(secret))).toEqual([]);
  }
});
