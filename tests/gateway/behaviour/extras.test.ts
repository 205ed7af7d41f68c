import type { ChatAsk } from '../../../gateway/types';
import { platformPool } from '../../../domain/llm/types';
import { createMetrics } from '../../../lib/metrics';
import { sealedPlace } from '../../../models/identity/sealedPlaces';
import { testSealing } from '../../support/accounts';
import { until } from '../../support/conditions';
import { knows, models, read, told } from '../../support/llmGround';
import { onLlmGround } from './here';

const here = onLlmGround();

async function open(settings: object) {
  here.tenant = await here.ground.tenant(undefined, { settings });
  here.llm = await here.ground.process();
  await knows(here.llm, here.tenant);
}

const chat = (changes: Partial<ChatAsk> = {}) => here.llm.gateway.chat(here.tenant.ask(changes));

describe('answers without chance', () => {
  test('are kept: asked again they cost nothing, and are recorded', async () => {
    const first = await chat({ temperature: 0 });
    const again = await chat({ temperature: 0 });
    expect(again).toMatchObject({ text: first.text, attempts: 0, account: null, costMicros: 0 });
    expect(again.callId).not.toBe(first.callId);
    const streamed = await read(here.llm.gateway.stream(here.tenant.ask({ temperature: 0 })));
    expect(streamed.text).toBe(first.text);
    expect(await here.tenant.calls()).toHaveLength(1);
    expect(await here.tenant.record(again.callId)).toMatchObject({
      outcome: 'cached',
      cost_micros: 0,
      attempts: 0,
      model: first.model,
      key_id: null,
    });
  });

  test('are kept for their tenant and their question alone', async () => {
    await chat({ temperature: 0 });
    await chat({ temperature: 0, maxTokens: 100 });
    await chat({ temperature: 0.1 });
    await chat({ temperature: null });
    const tools = [{ name: 'look', description: 'looks', parameters: { type: 'object' } }];
    await chat({ temperature: 0, tools });
    await chat({ temperature: 0, tools });
    expect(await here.tenant.calls()).toHaveLength(6);
    const other = await here.ground.tenant();
    await knows(here.llm, other);
    await here.llm.gateway.chat(other.ask({ temperature: 0 }));
    expect(await other.calls()).toHaveLength(1);
  });

  test('are not kept where they were cut off', async () => {
    await chat({ temperature: 0, maxTokens: 3 });
    await chat({ temperature: 0, maxTokens: 3 });
    expect(await here.tenant.calls()).toHaveLength(2);
  });
});

describe('a second attempt beside a slow one', () => {
  test('is made on another account, the first answer wins, and both are recorded', async () => {
    await open({ hedge_after_ms: 100 });
    await here.ground.faults({ latencyMs: 4_000, count: 1 });
    const answer = await chat();
    expect(answer.attempts).toBe(2);
    const [slow, fast, ...more] = await here.tenant.calls();
    expect(more).toEqual([]);
    expect(fast?.account).not.toBe(slow?.account);
    expect(answer.account).toBe(fast?.account);
    await until('the slow one was called off', async () => {
      const [first] = await here.tenant.calls();
      return first?.end === 'aborted';
    });
    const record = await here.tenant.record(answer.callId);
    // Vendors bill whole answers that nobody waited for, so more than the fast one is put down.
    expect(record).toMatchObject({ outcome: 'succeeded', attempts: 2, cost_source: 'estimate' });
    expect(record['cost_micros']).toBeGreaterThan(Math.ceil(fast?.costMicros ?? 0));
    const kinds = await here.ground.database
      .db('llm_attempts')
      .where({ call_id: answer.callId })
      .pluck('failure_kind');
    expect(new Set(kinds)).toEqual(new Set(['cancelled', null]));
    expect(here.llm.ring.snapshot().every(({ inFlight }) => inFlight === 0)).toBe(true);
    await here.llm.ring.flush();
    expect(await here.tenant.health()).toEqual({});
  });

  test('saves a request whose first attempt fails late', async () => {
    await open({ hedge_after_ms: 100 });
    await here.ground.faults(
      { fault: 'serverError', latencyMs: 300, count: 1 },
      { latencyMs: 400 },
    );
    expect(await told(chat())).toMatchObject({ hasText: true, attempts: 2 });
  });

  test('is not waited for where its money is long in coming', async () => {
    await open({ hedge_after_ms: 1_000 });
    await here.ground.faults({ latencyMs: 2_500, count: 1 });
    const asked = chat();
    await until('it is under way', async () => (await here.tenant.calls()).length === 1);
    const lock = await here.ground.database.db.transaction();
    const raised = jest.spyOn(here.llm.ledger, 'reserveMore');
    try {
      await lock('llm_calls').where({ tenant_id: here.tenant.id }).forUpdate();
      expect(await asked).toMatchObject({ attempts: 1 });
      const [raising] = raised.mock.results;
      expect(await Promise.race([raising?.value, Promise.resolve('waits')])).toBe('waits');
    } finally {
      await lock.commit();
    }
    expect(await here.tenant.record()).toMatchObject({ outcome: 'succeeded', attempts: 1 });
    expect(await here.tenant.calls()).toHaveLength(1);
    await until('no key is held', () =>
      here.llm.ring.snapshot().every(({ inFlight }) => inFlight === 0),
    );
  });

  test('is not made unless the tenant wants it', async () => {
    await here.ground.faults({ latencyMs: 600, count: 1 });
    expect(await chat()).toMatchObject({ attempts: 1 });
  });
});

describe('what was asked and answered', () => {
  test('is kept sealed for tenants that want it', async () => {
    await open({ keeps_prompts: true });
    const { callId, text } = await chat();
    const row = await until('it is kept', async () => {
      const [kept] = await here.ground.database.db('llm_prompts').where({ call_id: callId });
      return kept;
    });
    expect(row.content).not.toContain('lamps');
    const place = sealedPlace('llmPrompts', { key: [callId], tenantId: here.tenant.id });
    expect(JSON.parse(testSealing.open(row.content, place))).toMatchObject({
      messages: here.tenant.ask().messages,
      answer: { text },
    });
  });

  test('is not kept for others', async () => {
    const { callId } = await chat();
    await here.tenant.record(callId);
    await here.llm.ledger.flush();
    expect(
      await here.ground.database.db('llm_prompts').where({ tenant_id: here.tenant.id }),
    ).toEqual([]);
  });
});

describe('models', () => {
  test('the default is the tenant’s, else the platform’s, and there must be one', async () => {
    const { db } = here.ground.database;
    await db('llm_models').update({ is_default: false });
    await here.llm.refresh();
    expect(await told(chat({ model: null }))).toMatchObject({ field: 'model required' });
    await db('llm_models').where({ id: models.large }).update({ is_default: true });
    await here.llm.refresh();
    expect(await chat({ model: null })).toMatchObject({ model: models.large });
    await db('llm_settings')
      .where({ tenant_id: here.tenant.id })
      .update({ default_model: models.other });
    await here.llm.refresh();
    expect(await chat({ model: null })).toMatchObject({ model: models.other });
  });

  test('fallbacks are the catalogue’s where none are named, and only enabled ones', async () => {
    const { db } = here.ground.database;
    await db('llm_models')
      .where({ id: models.main })
      .update({ fallbacks: [models.large, models.other] });
    await db('llm_models').where({ id: models.large }).update({ is_enabled: false });
    await here.llm.refresh();
    await here.ground.faults({ fault: 'noEndpoints', model: models.main });
    expect(await chat({ fallbackModels: null })).toMatchObject({ model: models.other });
    expect(await told(chat({ model: models.large }))).toMatchObject({
      field: 'model modelNotEnabled',
    });
    await db('llm_models').where({ id: models.main }).update({ fallbacks: [] });
    await db('llm_models').where({ id: models.large }).update({ is_enabled: true });
  });

  test('vectors are never taken from another model', async () => {
    const { db } = here.ground.database;
    await db('llm_models')
      .where({ id: models.embedding })
      .update({ fallbacks: [models.other] });
    await here.llm.refresh();
    await here.ground.faults({ fault: 'noEndpoints', model: models.embedding });
    const { asker, priority, deadlineMs } = here.tenant.ask();
    const asked = here.llm.gateway.embed({
      asker,
      priority,
      deadlineMs,
      model: models.embedding,
      inputs: ['lamp'],
      dimensions: null,
    });
    await expect(asked).rejects.toMatchObject({
      code: 'llmUnavailable',
      details: { code: 'modelUnavailable' },
    });
  });
});

test('a budget that is spent refuses before anything is called', async () => {
  await here.ground.database.db('llm_budgets').insert({
    id: '01a1ffe1-0000-7000-8000-000000000001',
    tenant_id: here.tenant.id,
    scope: 'tenant',
    period: 'day',
    limit_micros: 10,
  });
  await expect(chat()).rejects.toMatchObject({ kind: 'planLimit' });
  expect(await here.tenant.calls()).toEqual([]);
});

test('a plan that pays for no more leaves the tenant its own keys', async () => {
  await open({ key_source: 'ownFirst' });
  const { db } = here.ground.database;
  await db('subscriptions')
    .insert({
      tenant_id: here.tenant.id,
      plan: 'free',
      status: 'active',
      limits: JSON.stringify({ aiMicros: 1 }),
    })
    .onConflict('tenant_id')
    .merge();
  expect(here.llm.ring.poolsOf(here.tenant.id)).toEqual([here.tenant.id, platformPool]);
  const { callId } = await chat();
  expect(await here.tenant.record(callId)).toMatchObject({ outcome: 'succeeded', attempts: 1 });
  const bare = await here.ground.tenant([], { settings: { key_source: 'platform' } });
  await db('subscriptions')
    .insert({
      tenant_id: bare.id,
      plan: 'free',
      status: 'active',
      limits: JSON.stringify({ aiMicros: 1 }),
    })
    .onConflict('tenant_id')
    .merge();
  await until('the process knows', () => here.llm.ring.poolsOf(bare.id).includes(platformPool));
  await expect(here.llm.gateway.chat(bare.ask())).rejects.toMatchObject({
    kind: 'planLimit',
    details: { scope: 'plan' },
  });
});

test('what the gateway does is counted, with few labels', async () => {
  here.tenant = await here.ground.tenant();
  const metrics = createMetrics('test');
  here.llm = await here.ground.process({ metrics });
  await knows(here.llm, here.tenant);
  expect(here.llm.ring.poolsOf(here.tenant.id)).not.toContain(platformPool);
  await here.ground.faults({ fault: 'requestTimeout', count: 1 });
  await chat();
  await read(here.llm.gateway.stream(here.tenant.ask()));
  await here.llm.ledger.flush();
  const text = await metrics.metrics();
  expect(text).toContain('carillon_llm_attempts_total{outcome="timeout",scope="model"');
  expect(text).toMatch(/carillon_llm_requests_saved_total\{[^}]*\} 1/);
  expect(text).toMatch(/carillon_llm_rotations_total\{to="key"[^}]*\} 1/);
  expect(text).toMatch(/carillon_llm_calls_total\{kind="chat",outcome="succeeded"[^}]*\} 2/);
  expect(text).toMatch(/carillon_llm_first_token_seconds_count\{[^}]*\} 1/);
  expect(text).not.toContain(here.tenant.id);
  expect(text).not.toContain(models.main);
});
