import Ajv from 'ajv';
import type { Sandbox } from '../../../sandbox';
import { closeAll, openSandbox } from '../support';
import { ask, callsOf, model, openRouter, raw, secretOf } from './support';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});
afterEach(closeAll);

test('the same question is answered by the same words, and billed', async () => {
  const client = openRouter(sandbox);
  const first = await ask(client, 'How do I win readers back?');
  const second = await ask(client, 'How do I win readers back?');
  expect(first.choices[0]?.message.content?.length).toBeGreaterThan(20);
  expect(second.choices[0]?.message.content).toBe(first.choices[0]?.message.content);
  expect(first).toMatchObject({
    object: 'chat.completion',
    model,
    choices: [{ finish_reason: 'stop' }],
    usage: { cost: expect.any(Number), prompt_tokens_details: { cached_tokens: 0 } },
  });
  const { usage } = first;
  expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
});

test('warm answers differ from call to call', async () => {
  const client = openRouter(sandbox);
  const texts = new Set<unknown>();
  for (let n = 0; n < 5; n += 1) {
    const reply = await ask(client, 'Write 3 subject lines for our winter blend', {
      temperature: 1,
    });
    texts.add(reply.choices[0]?.message.content);
  }
  expect(texts.size).toBeGreaterThan(1);
});

test('a stream has comments first, its usage last, and its end', async () => {
  const body = { model, stream: true, messages: [{ role: 'user', content: 'Tell me of tea' }] };
  const { headers, text } = await raw(sandbox, '/chat/completions', { json: body });
  expect(headers.get('content-type')).toBe('text/event-stream');
  const events = text.trim().split('\n\n');
  expect(events[0]).toBe(': OPENROUTER PROCESSING');
  expect(events.at(-1)).toBe('data: [DONE]');
  expect(JSON.parse(events.at(-2)?.slice(6) ?? '')).toMatchObject({
    choices: [],
    usage: { cost: expect.any(Number) },
  });

  const stream = await openRouter(sandbox).chat.completions.create({
    model,
    stream: true,
    messages: [{ role: 'user', content: 'Tell me of tea' }],
  });
  let streamed = '';
  for await (const chunk of stream) {
    streamed += chunk.choices[0]?.delta.content ?? '';
  }
  const whole = await ask(openRouter(sandbox), 'Tell me of tea');
  expect(streamed).toBe(whole.choices[0]?.message.content);
});

const variants = {
  type: 'object',
  additionalProperties: false,
  required: ['language', 'variants', 'total', 'note'],
  properties: {
    language: { enum: ['en', 'de'] },
    total: { type: 'integer', minimum: 3, maximum: 9, multipleOf: 3 },
    share: { type: 'number', exclusiveMinimum: 0, maximum: 0.5 },
    note: { type: ['string', 'null'], minLength: 200 },
    at: { type: 'string', format: 'date-time' },
    variants: {
      type: 'array',
      minItems: 5,
      maxItems: 6,
      uniqueItems: true,
      items: { $ref: '#/$defs/variant' },
    },
  },
  $defs: {
    variant: {
      type: 'object',
      required: ['subject', 'body'],
      properties: {
        subject: { type: 'string', maxLength: 40 },
        body: { type: 'string', minLength: 80 },
        kind: { const: 'email' },
        parent: { anyOf: [{ $ref: '#/$defs/variant' }, { type: 'null' }] },
      },
    },
  },
};

test('an answer fits its schema, however it nests', async () => {
  const reply = await ask(openRouter(sandbox), 'Subject lines for our “Alpine Tea”', {
    response_format: { type: 'json_schema', json_schema: { name: 'variants', schema: variants } },
  });
  const value: unknown = JSON.parse(reply.choices[0]?.message.content ?? '');
  const ajv = new Ajv({ strict: false, formats: { 'date-time': true } });
  expect(ajv.validate(variants, value)).toBe(true);
  expect(JSON.stringify(value)).toContain('Alpine Tea');
});

test('a tool that has to be called is called with what the prompt says', async () => {
  const parameters = {
    type: 'object',
    required: ['orderNumber', 'reason'],
    properties: { orderNumber: { type: 'string' }, reason: { enum: ['late', 'lost'] } },
  };
  const tools = [{ type: 'function', function: { name: 'find_order', parameters } }];
  const reply = await ask(openRouter(sandbox), 'Where is order 10533?', {
    tools,
    tool_choice: 'required',
  });
  const [choice] = reply.choices;
  expect(choice?.finish_reason).toBe('tool_calls');
  const [call] = choice?.message.tool_calls ?? [];
  expect(call).toMatchObject({ type: 'function', function: { name: 'find_order' } });
  expect(call?.type === 'function' && JSON.parse(call.function.arguments)).toMatchObject({
    orderNumber: '10533',
  });
});

test.each([
  ['Schreibe 3 Betreffzeilen für unsere Winterröstung', 'Winterröstung'],
  ['Write 3 subject lines in French about our “Thé Alpin”', 'Thé Alpin'],
  ['Escribe 3 asuntos para nuestro "Café Sol"', 'Café Sol'],
])('%s speaks of %s', async (question, product) => {
  const reply = await ask(openRouter(sandbox), question);
  const lines = reply.choices[0]?.message.content?.split('\n') ?? [];
  expect(lines).toHaveLength(3);
  expect(new Set(lines).size).toBe(3);
  expect(lines.every((line) => line.toLowerCase().includes(product.toLowerCase()))).toBe(true);
});

test('a short limit of tokens cuts the answer', async () => {
  const reply = await ask(openRouter(sandbox), 'Hello', { max_tokens: 1 });
  expect(reply).toMatchObject({
    choices: [{ finish_reason: 'length' }],
    usage: { completion_tokens: 1 },
  });
});

test.each([
  ['no messages', { messages: [] }, 400],
  ['an unknown role', { messages: [{ role: 'ghost', content: 'x' }] }, 400],
  ['a temperature out of range', { temperature: 3 }, 400],
  ['an unknown model', { model: 'nobody/nothing' }, 400],
  ['a model of another kind', { model: 'openai/text-embedding-3-small' }, 404],
  ['more than the model reads', { model: 'sao10k/l3-lunaris-8b', max_tokens: 9_000 }, 400],
])('%s is refused in the vendor’s form', async (_, changes, status) => {
  const json = { model, messages: [{ role: 'user', content: 'x' }], ...changes };
  const answer = await raw(sandbox, '/chat/completions', { json });
  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.text)).toEqual({
    error: { code: status, message: expect.any(String), metadata: expect.anything() },
  });
});

test.each([null, 'sk-or-v1-unknown', secretOf('north-1').slice(0, -1)])(
  'the token %s opens nothing',
  async (secret) => {
    const json = { model, messages: [{ role: 'user', content: 'x' }] };
    const { status, text } = await raw(sandbox, '/chat/completions', { json, secret });
    expect(status).toBe(401);
    expect(JSON.parse(text)).toMatchObject({ error: { code: 401 } });
  },
);

test('calls are listed without prompts or secrets', async () => {
  await ask(openRouter(sandbox), 'A very private question', { session_id: 's-1', user: 'u-1' });
  const page = await callsOf(sandbox);
  expect(page.items).toMatchObject([
    { path: 'chat', key: 'north-1', account: 'north', status: 200, session: 's-1', user: 'u-1' },
  ]);
  expect(page.byKey['north-1']).toEqual({ calls: 1, failed: 0, faults: {} });
  expect(JSON.stringify(page)).not.toMatch(/private|sk-or/);
});
