import { newId } from '../../../lib/ids';
import { until } from '../../support/conditions';
import { openLlmApi, type LlmApi } from '../../support/llmApi';
import { models, type LlmTenant } from '../../support/llmGround';
import { tokenFor } from '../../support/tokens';

let open: LlmApi;

beforeAll(async () => {
  open = await openLlmApi();
});

beforeEach(() => open.ground.faults());

afterAll(() => open.stop());

const path = '/api/v1/llm/chat';
const question = 'Write one line about lamps that Aurora sells.';
const body = (more: object = {}) => ({
  model: models.main,
  fallbackModels: [],
  messages: [{ role: 'user', content: question }],
  ...more,
});

// What an answer cost is asked for later, by whichever tenant's call comes next.
async function chats(tenant: LlmTenant) {
  return (await tenant.calls()).filter((call) => call.path === 'chat');
}

interface SentEvent {
  event: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- what comes over HTTP has any shape
  data: any;
}

function eventsOf(text: string): SentEvent[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event: '))
    .map((block) => {
      const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/s.exec(block) ?? [];
      return { event, data: JSON.parse(data) };
    });
}

test('answers, with what it cost and who answered', async () => {
  const { tenant, token } = await open.caller();
  const answer = await open.api.send('post', path, { token, json: body() });
  expect(answer.status).toBe(200);
  expect(answer.body.data).toMatchObject({
    model: expect.stringContaining('gpt-5-mini'),
    text: expect.stringMatching(/\w/),
    json: null,
    toolCalls: [],
    finishReason: 'stop',
    attempts: 1,
  });
  expect(answer.body.data.costMicros).toBeGreaterThan(0);
  expect(answer.headers.get('X-Carillon-Attempts')).toBe('1');
  expect(answer.headers.get('X-Carillon-Model')).toBe(answer.body.data.model);
  expect(answer.headers.get('X-Carillon-Account')).toMatch(/^(north|south)/);
  await expect(tenant.record(answer.body.data.id)).resolves.toMatchObject({
    outcome: 'succeeded',
    feature: 'script',
    cost_micros: answer.body.data.costMicros,
  });
});

test('answers in the form that was asked for', async () => {
  const { token } = await open.caller();
  const schema = {
    type: 'object',
    required: ['subjects'],
    properties: { subjects: { type: 'array', items: { type: 'string' }, minItems: 2 } },
  };
  const answer = await open.api.send('post', path, {
    token,
    json: body({ schema: { name: 'lines', schema } }),
  });
  expect(answer.status).toBe(200);
  expect(answer.body.data.json.subjects.length).toBeGreaterThanOrEqual(2);
  expect(JSON.parse(answer.body.data.text)).toEqual(answer.body.data.json);
});

test('streams the answer as it is written', async () => {
  const { tenant, token } = await open.caller();
  await open.ground.faults({ chunkDelayMs: 20 });
  const answer = await fetch(`${open.api.url}${path}`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      // Compressed, it would come when it is whole.
      'Accept-Encoding': 'gzip, br',
    },
    body: JSON.stringify(body({ stream: true, conversation: 'ada@example.com' })),
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('Content-Type')).toBe('text/event-stream; charset=utf-8');
  expect(answer.headers.get('Content-Encoding')).toBeNull();
  const reads: string[] = [];
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    reads.push(decoder.decode(chunk, { stream: true }));
  }
  // In pieces: what is held back comes at once.
  expect(reads.length).toBeGreaterThan(2);
  const events = eventsOf(reads.join(''));
  const done = events.at(-1);
  expect(done?.event).toBe('done');
  const texts = events.slice(0, -1);
  expect(new Set(texts.map(({ event }) => event))).toEqual(new Set(['text']));
  expect(texts.map(({ data }) => data.text).join('')).toBe(done?.data.text);
  await expect(tenant.record(done?.data.id)).resolves.toMatchObject({ outcome: 'succeeded' });
  // Who is talked to is nobody's business there.
  expect(JSON.stringify(await chats(tenant))).not.toContain('ada@example.com');
});

test('a stream that breaks off ends with a problem, and is not spliced', async () => {
  const { token } = await open.caller();
  await open.ground.faults({ fault: 'midStreamError', afterChunks: 2 });
  const answer = await open.api.send('post', path, { token, json: body({ stream: true }) });
  expect(answer.status).toBe(200);
  const events = eventsOf(answer.text);
  expect(events.at(0)?.event).toBe('text');
  expect(events.at(-1)).toMatchObject({
    event: 'error',
    data: { status: 502, code: 'llmFailed', requestId: expect.any(String) },
  });
});

test('what cannot begin is refused by its status, streamed or not', async () => {
  const { tenant, token } = await open.caller();
  await open.ground.faults({ fault: 'moderation' });
  for (const stream of [false, true]) {
    const answer = await open.api.send('post', path, { token, json: body({ stream }) });
    expect([answer.status, answer.body.code]).toEqual([422, 'validationFailed']);
    expect(answer.body.errors[0].path).toBe('messages');
    expect(answer.text).not.toContain(question);
  }
  expect(await chats(tenant)).toHaveLength(2);
});

test('says when to come back when no key can serve', async () => {
  const { token } = await open.caller();
  await open.ground.faults({ fault: 'platformRateLimit', retryAfterSeconds: 30 });
  const answer = await open.api.send('post', path, { token, json: body() });
  expect([answer.status, answer.body.code]).toEqual([503, 'llmUnavailable']);
  const seconds = Number(answer.headers.get('Retry-After'));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(31);
});

test('says that the budget is spent, and calls nobody', async () => {
  const { tenant, token } = await open.caller();
  await open.api.db('llm_budgets').insert({
    id: newId(),
    tenant_id: tenant.id,
    scope: 'tenant',
    period: 'day',
    limit_micros: 1,
  });
  const answer = await open.api.send('post', path, { token, json: body() });
  expect([answer.status, answer.body.code]).toEqual([402, 'llmBudgetSpent']);
  expect(answer.body.detail).toMatch(/\w+ .*\w+/);
  expect(await chats(tenant)).toEqual([]);
});

test('a caller who leaves ends the call', async () => {
  const { tenant, token } = await open.caller();
  await open.ground.faults({ chunkDelayMs: 200 });
  const leaving = new AbortController();
  const answer = await fetch(`${open.api.url}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body({ stream: true })),
    signal: leaving.signal,
  });
  const reader = answer.body?.getReader();
  await reader?.read();
  leaving.abort();
  const outcome = await until('the call is ended', async () => {
    const [row] = await open.api.db('llm_calls').where({ tenant_id: tenant.id });
    return row?.outcome === 'open' ? null : row?.outcome;
  });
  expect(outcome).toBe('cancelled');
});

describe('with an Idempotency-Key', () => {
  const sent = (token: string, key: string, more: object = {}) =>
    open.api.send('post', path, { token, json: body(more), headers: { 'Idempotency-Key': key } });

  test('a repetition gets the answer of the first, which is kept so that nobody reads it', async () => {
    const { tenant, token } = await open.caller();
    const key = newId();
    const first = await sent(token, key);
    expect(first.status).toBe(200);
    const again = await sent(token, key);
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect(again.headers.get('Idempotency-Replayed')).toBe('true');
    expect(again.headers.get('X-Carillon-Model')).toBe(first.headers.get('X-Carillon-Model'));
    expect(await chats(tenant)).toHaveLength(1);
    const [row] = await open.api.db('idempotency_keys').where({ tenant_id: tenant.id, key });
    expect(row).toMatchObject({ state: 'done', body: null, sealed_body: expect.any(String) });
    expect(JSON.stringify(row)).not.toContain(first.body.data.text);
    expect(JSON.stringify(row)).not.toContain('lamps');
    const other = await sent(token, key, { maxTokens: 7 });
    expect([other.status, other.body.code]).toEqual([409, 'idempotencyKeyReused']);
  });

  test('whoever leaves finds the answer when it comes back', async () => {
    const { tenant, token } = await open.caller();
    await open.ground.faults({ latencyMs: 1_500, count: 1 });
    const key = newId();
    const leaving = new AbortController();
    const left = fetch(`${open.api.url}${path}`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${token}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': key,
      },
      body: JSON.stringify(body()),
      signal: leaving.signal,
    }).catch(() => 'left');
    await until('it is under way', async () => (await chats(tenant)).length === 1);
    leaving.abort();
    expect(await left).toBe('left');
    const early = await sent(token, key);
    expect([early.status, early.body.code]).toEqual([409, 'requestInProgress']);
    expect(Number(early.headers.get('Retry-After'))).toBeGreaterThan(0);
    const found = await until('it is answered', async () => {
      const answer = await sent(token, key);
      return answer.status === 409 ? null : answer;
    });
    expect([found.status, found.headers.get('Idempotency-Replayed')]).toEqual([200, 'true']);
    expect(await chats(tenant)).toHaveLength(1);
    expect(await tenant.record(found.body.data.id)).toMatchObject({ outcome: 'succeeded' });
  });

  test('what no model could answer is asked anew', async () => {
    const { tenant, token } = await open.caller();
    const key = newId();
    await open.ground.faults({ fault: 'serverError' });
    const failed = await sent(token, key);
    expect(failed.status).toBeGreaterThanOrEqual(500);
    const before = (await chats(tenant)).length;
    await open.ground.faults();
    await open.ground.pass(open.llm, tenant);
    expect(await sent(token, key)).toMatchObject({ status: 200 });
    expect((await chats(tenant)).length).toBe(before + 1);
  });

  test('a stream is refused', async () => {
    const { tenant, token } = await open.caller();
    const answer = await sent(token, newId(), { stream: true });
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, 'stream']);
    expect(await chats(tenant)).toEqual([]);
  });
});

test.each([
  ['no messages', { messages: [] }, 'messages'],
  ['an unknown field', { prompt: 'x' }, 'prompt'],
  ['a part that is none', { messages: [{ role: 'user', content: [{ type: 'x' }] }] }, /^messages/],
  [
    'a picture of another scheme',
    {
      messages: [{ role: 'user', content: [{ type: 'image', url: 'file:///etc/passwd' }] }],
    },
    /^messages/,
  ],
  ['a temperature of 3', { temperature: 3 }, 'temperature'],
  ['a model that is no name', { model: 'a b' }, 'model'],
  ['a schema that is none', { schema: { name: 'x', schema: { type: 'banana' } } }, /^schema/],
  ['a feature of two words', { feature: 'two words' }, 'feature'],
])('refuses %s', async (_, more, field) => {
  const { tenant, token } = await open.caller();
  const answer = await open.api.send('post', path, { token, json: body(more) });
  expect([answer.status, answer.body.code]).toEqual([422, 'validationFailed']);
  expect(answer.body.errors[0].path).toMatch(field);
  expect(await chats(tenant)).toEqual([]);
});

test('is not for viewers', async () => {
  const { tenant } = await open.caller();
  const token = await tokenFor(open.api.deps, tenant.id, 'viewer');
  const answer = await open.api.send('post', path, { token, json: body() });
  expect(answer.status).toBe(403);
});
