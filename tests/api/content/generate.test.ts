import { createContentGenerations } from '../../../clients/contentGenerations';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { endLostGenerations } from '../../../models/content/generations';
import type { OpenRouterFault } from '../../../sandbox';
import type { RunningWorker } from '../../../workers/worker';
import { contentWorkflowId } from '../../../workflows/content/contentGeneration';
import { recordHistories } from '../../replay/record';
import { startTestApi, type TestApi } from '../../support/api';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { postCampaign } from '../../support/campaigns';
import { until } from '../../support/conditions';
import { buildTenant, type TestTenant } from '../../support/factories';
import { inClearText } from '../../support/histories';
import { models } from '../../support/llmGround';
import { giveKey, offerModels } from '../../support/llmKeys';

let ground: CampaignGround;
let worker: RunningWorker;
let api: TestApi;
// The same records without a worker that does anything.
let idleApi: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround();
  await offerModels(ground.deps.db);
  await ground.db('llm_models').where({ id: models.large }).update({ is_enabled: false });
  worker = await ground.startWorker();
  const { db } = ground.deps;
  api = await startTestApi({ db, contentGenerations: createContentGenerations(ground.temporal) });
  idleApi = await startTestApi({ db });
});

beforeEach(() => faults());

afterAll(async () => {
  await Promise.all([api.stop(), idleApi.stop()]);
  await ground.stop();
});

async function faults(...rules: OpenRouterFault[]): Promise<void> {
  const answer = await fetch(`${ground.sandbox.url}/api/openrouter/faults`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(rules),
  });
  expect(answer.status).toBe(200);
}

async function tenantWithKey(): Promise<TestTenant> {
  const tenant = await buildTenant(api.deps);
  await giveKey(ground.db, { tenantId: tenant.tenantId, sandboxUrl: ground.sandbox.url });
  return tenant;
}

const secretWord = 'Tintagel';
const brief = {
  goal: `Bring people back who have not bought at ${secretWord} for a year`,
  facts: ['20 % off all lamps', 'Greet them as {{ customer.firstName }}'],
  tone: 'warm',
  language: 'en',
  channel: 'email',
  count: 3,
};

function generate({ token }: TestTenant, json: object = {}, { through = api, key = newId() } = {}) {
  return through.send('post', '/api/v1/content/generate', {
    token,
    json: { ...brief, ...json },
    headers: { 'Idempotency-Key': key },
  });
}

const get = ({ token }: TestTenant, id: string) =>
  api.send('get', `/api/v1/content/generations/${id}`, { token });

const ended = (tenant: TestTenant, id: string) =>
  until('it has ended', async () => {
    const { body } = await get(tenant, id);
    return body.data.state === 'pending' ? null : body.data;
  });

const callsOf = (tenant: TestTenant) =>
  ground.db('llm_calls').where({ tenant_id: tenant.tenantId }).orderBy('id');

test('writes variants that keep to the brief, and says what they cost', async () => {
  const tenant = await tenantWithKey();
  const { id: campaignId } = await postCampaign(api, tenant, {});
  const answer = await generate(tenant, { campaignId });
  expect([answer.status, answer.body]).toEqual([201, { data: expect.any(Object) }]);
  const { data } = answer.body;
  expect(data).toMatchObject({ state: 'done', reason: null, campaignId, count: 3 });
  expect(data.variants).toHaveLength(3);
  for (const { subject, body } of data.variants) {
    expect(subject.length).toBeGreaterThan(0);
    expect(subject.length).toBeLessThanOrEqual(150);
    expect(body).toContain('{{ customer.firstName }}');
  }
  expect(data.costMicros).toBeGreaterThan(0);
  expect(answer.headers.get('Location')).toBe(`/api/v1/content/generations/${data.id}`);
  expect((await get(tenant, data.id)).body.data).toEqual(data);

  const workflowId = contentWorkflowId(tenant.tenantId, data.id);
  const calls = await until('the calls are settled', async () => {
    const rows = await callsOf(tenant);
    return rows.every(({ outcome }) => outcome === 'succeeded') ? rows : null;
  });
  expect(calls.map(({ id }) => id)).toEqual(data.callIds);
  expect(calls[0]).toMatchObject({ feature: 'content', workflow_id: workflowId });
  expect(calls.reduce((sum, { cost_micros: cost }) => sum + cost, 0)).toBe(data.costMicros);

  // No word of it is in the history, not even for who can read it in clear text.
  const handle = ground.temporal.client.workflow.getHandle(workflowId);
  const history = await inClearText(ground.temporal.client, await handle.fetchHistory());
  const text = JSON.stringify(history, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString() : value,
  );
  expect(text).toContain(data.id);
  expect(text).not.toContain(secretWord);
  expect(text).not.toContain(data.variants[0].subject);
  await recordHistories(ground.temporal.client, 'variants-are-written', campaignId);
});

test('asked for twice with one key it is done once', async () => {
  const tenant = await tenantWithKey();
  const key = newId();
  const [one, other] = await Promise.all([
    generate(tenant, {}, { key }),
    generate(tenant, {}, { key }),
  ]);
  const answers = [one.status, other.status].toSorted((a, b) => a - b);
  expect([
    [201, 201],
    [201, 409],
  ]).toContainEqual(answers);
  const again = await generate(tenant, {}, { key });
  expect(again.status).toBe(201);
  const ids = [one, other, again].flatMap(({ body }) => body.data?.id ?? []);
  expect(new Set(ids).size).toBe(1);
  expect(await callsOf(tenant)).toHaveLength(again.body.data.callIds.length);
});

test('waits until a key can serve, and goes on by itself', async () => {
  const tenant = await tenantWithKey();
  await faults({ fault: 'platformRateLimit', retryAfterSeconds: 1, forMs: 3_000 });
  const idle = await startTestApi({
    db: ground.deps.db,
    contentGenerations: createContentGenerations(ground.temporal, { waitMs: 1 }),
  });
  const answer = await generate(tenant, {}, { through: idle });
  await idle.stop();
  expect([answer.status, answer.body.data.state]).toEqual([202, 'pending']);
  expect(await ended(tenant, answer.body.data.id)).toMatchObject({
    state: 'done',
    waitsUntil: null,
  });
});

test('tells a model what was wrong, twice at the most', async () => {
  const tenant = await tenantWithKey();
  // What a small model does with a long list: the placeholders cannot all be kept in a text message.
  const facts = Array.from(
    { length: 40 },
    (_, n) => `Mention {{ customer.field${n}${'x'.repeat(40)} }}`,
  );
  const answer = await generate(tenant, { channel: 'sms', facts, count: 1 });
  expect([answer.status, answer.body.code]).toEqual([502, 'llmFailed']);
  const { body } = await api.send('get', '/api/v1/content/generations?state=failed', {
    token: tenant.token,
  });
  expect(body.data).toHaveLength(1);
  expect(body.data[0]).toMatchObject({ state: 'failed', reason: 'notUsable', variants: [] });
  expect(body.data[0].callIds).toHaveLength(3);
  expect(body.data[0].costMicros).toBeGreaterThan(0);
});

test('says that the budget is spent', async () => {
  const tenant = await tenantWithKey();
  await ground.db('llm_budgets').insert({
    id: newId(),
    tenant_id: tenant.tenantId,
    scope: 'feature',
    subject: 'content',
    period: 'day',
    limit_micros: 1,
  });
  const answer = await generate(tenant);
  expect([answer.status, answer.body.code]).toEqual([402, 'llmBudgetSpent']);
  expect(await callsOf(tenant)).toEqual([]);
});

test('says that a model would not write it', async () => {
  const tenant = await tenantWithKey();
  await faults({ fault: 'moderation' });
  const answer = await generate(tenant);
  expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, 'goal']);
});

test.each([
  ['is not offered', models.large, null],
  ['is one that no key may be used for', undefined, ['google/*']],
])('names the model where it %s', async (_, model, allowed) => {
  const tenant = await tenantWithKey();
  await ground
    .db('llm_keys')
    .where({ tenant_id: tenant.tenantId })
    .update({ allowed_models: allowed });
  const answer = await generate(tenant, model === undefined ? {} : { model });
  expect([answer.status, answer.body.errors]).toEqual([
    422,
    [expect.objectContaining({ path: 'model', code: 'modelNotUsable' })],
  ]);
});

test('without anybody to do it, it is on its way, and ends when nobody did', async () => {
  const tenant = await tenantWithKey();
  const answer = await generate(tenant, {}, { through: idleApi });
  expect([answer.status, answer.body.data.state]).toEqual([202, 'pending']);
  const { id } = answer.body.data;
  await acrossTenants(ground.deps.db, 'reconcile', endLostGenerations);
  expect((await get(tenant, id)).body.data.state).toBe('pending');
  await ground
    .db('content_generations')
    .where({ id })
    .update({ created_at: new Date(Date.now() - 2 * 3_600_000) });
  await acrossTenants(ground.deps.db, 'reconcile', endLostGenerations);
  expect((await get(tenant, id)).body.data).toMatchObject({ state: 'failed', reason: 'notEnded' });
});

const begun = (tenant: TestTenant) =>
  until('a model is asked', async () => {
    const rows = await callsOf(tenant);
    return rows.length > 0 ? rows : null;
  });

test('what a worker that stops was at is done by the next one', async () => {
  const tenant = await tenantWithKey();
  await faults({ fault: 'hang', count: 1 });
  const asked = generate(tenant);
  await begun(tenant);
  await worker.stop();
  worker = await ground.startWorker();
  const answer = await asked;
  expect([201, 202]).toContain(answer.status);
  const { callIds, state } = await ended(tenant, answer.body.data.id);
  expect(state).toBe('done');
  const outcomes = await until('the calls are settled', async () => {
    const rows = await callsOf(tenant);
    return rows.some(({ outcome }) => outcome === 'open')
      ? null
      : rows.map(({ id, outcome }) => [id === callIds[0], outcome]);
  });
  // The first one was called off, and is no call of the text that came.
  expect(outcomes).toEqual([
    [false, 'cancelled'],
    [true, 'succeeded'],
  ]);
});

test('a workflow that is cancelled ends it, and what is asked for again is done', async () => {
  const tenant = await tenantWithKey();
  await faults({ fault: 'hang' });
  const key = newId();
  const asked = generate(tenant, {}, { key });
  const [row] = await begun(tenant);
  await ground.temporal.client.workflow.getHandle(row.workflow_id).cancel();
  const answer = await asked;
  expect([answer.status, answer.body.code]).toEqual([503, 'workflowsUnavailable']);
  await expect(
    until('the call is called off', async () => {
      const [call] = await callsOf(tenant);
      return call.outcome === 'open' ? null : call.outcome;
    }),
  ).resolves.toBe('cancelled');
  await faults();
  const again = await generate(tenant, {}, { key });
  expect([again.status, again.body.data.state]).toEqual([201, 'done']);
  expect(contentWorkflowId(tenant.tenantId, again.body.data.id)).toBe(row.workflow_id);
});

test.each([
  ['nothing to say', { facts: [] }, 'facts'],
  ['a language that is none', { language: 'Klingonese!' }, 'language'],
  ['too many variants', { count: 11 }, 'count'],
  ['a channel nobody has', { channel: 'fax' }, 'channel'],
  ['a campaign of nobody', { campaignId: newId() }, 'campaignId'],
  ['an unknown field', { prompt: 'x' }, 'prompt'],
])('refuses %s', async (_, more, field) => {
  const tenant = await tenantWithKey();
  const answer = await generate(tenant, more);
  expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, field]);
  expect(await ground.db('content_generations').where({ tenant_id: tenant.tenantId })).toEqual([]);
});

test('belongs to its tenant, and viewers see it but ask for nothing', async () => {
  const tenant = await tenantWithKey();
  const other = await tenantWithKey();
  const { body } = await generate(tenant, {}, { through: idleApi });
  const path = `/api/v1/content/generations/${body.data.id}`;
  expect((await api.send('get', path, { token: other.token })).status).toBe(404);
  const viewer = tenant.tokenOf('viewer');
  expect((await api.send('get', path, { token: viewer })).status).toBe(200);
  expect((await generate({ ...tenant, token: viewer })).status).toBe(403);
  const list = await api.send('get', '/api/v1/content/generations', { token: other.token });
  expect(list.body.data).toEqual([]);
});
