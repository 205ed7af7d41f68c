import type { ChatMessage } from '../../../domain/llm/types';
import type { OpenRouterFaultName } from '../../../sandbox';
import { models, shown, told } from '../../support/llmGround';
import { onLlmGround } from './here';

const here = onLlmGround();

const long = 'word '.repeat(2_000);
const talk: ChatMessage[] = [
  { role: 'system', content: 'Answer in one sentence.' },
  { role: 'user', content: `First: ${long}` },
  { role: 'assistant', content: `I see: ${long}` },
  { role: 'user', content: 'What is a lamp?' },
];

test.each<[string, OpenRouterFaultName, number, string]>([
  ['400 invalid_request', 'invalidRequest', 400, 'invalidRequest'],
  ['400 invalid_prompt', 'invalidPrompt', 400, 'invalidRequest'],
  ['400 string_too_long', 'stringTooLong', 400, 'invalidRequest'],
  ['400 invalid_image', 'invalidImage', 400, 'invalidRequest'],
  ['400 image_too_large', 'imageTooLarge', 400, 'invalidRequest'],
  ['404 image_not_found', 'imageNotFound', 404, 'invalidRequest'],
  ['400 content_policy', 'contentPolicy', 400, 'refused'],
  ['400 refusal', 'refusal', 400, 'refused'],
  ['403 moderation', 'moderation', 403, 'moderation'],
  ['403 guardrail', 'guardrail', 403, 'moderation'],
  ['412', 'preconditionFailed', 412, 'invalidRequest'],
  ['413', 'payloadTooLarge', 413, 'invalidRequest'],
  ['422', 'unprocessable', 422, 'invalidRequest'],
])(
  '%s: fails at once, with one call of one key, and nothing changes',
  async (_, fault, status, kind) => {
    await here.ground.faults({ fault });
    expect(
      await told(here.llm.gateway.chat(here.tenant.ask({ fallbackModels: [models.other] }))),
    ).toEqual({
      kind: 'invalid',
      code: 'validationFailed',
      field: `messages ${kind}`,
    });
    const calls = await here.tenant.calls();
    expect(calls.map((call) => call.status)).toEqual([status]);
    await here.llm.ring.flush();
    expect(await here.tenant.health()).toEqual({});
    expect(await here.tenant.record()).toMatchObject({
      outcome: 'failed',
      failure_kind: kind,
      attempts: 1,
      cost_micros: 0,
      cost_source: 'none',
    });
    await here.ground.faults();
    const conversation = 'the same key';
    expect(await told(here.llm.gateway.chat(here.tenant.ask({ conversation })))).toMatchObject({
      attempts: 1,
    });
  },
);

test('400 context_length_exceeded: a model that reads more is asked with the same key', async () => {
  await here.ground.faults({ fault: 'contextLengthExceeded', model: models.main });
  const asked = here.llm.gateway.chat(
    here.tenant.ask({ fallbackModels: [models.other, models.large], messages: talk }),
  );
  expect(await told(asked)).toEqual({ model: models.large, attempts: 2, hasText: true });
  const [first, second, ...more] = await here.tenant.calls();
  expect(more).toEqual([]);
  expect(second?.key).toBe(first?.key);
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toEqual({});
});

test('400 context_length_exceeded: without such a model the oldest messages go, once', async () => {
  await here.ground.faults({ fault: 'contextLengthExceeded', count: 1 });
  const answer = await here.llm.gateway.chat(here.tenant.ask({ messages: talk }));
  const [first, second, ...more] = await here.tenant.calls();
  expect(more).toEqual([]);
  expect(second?.key).toBe(first?.key);
  expect(answer.usage.promptTokens).toBeLessThan(200);

  await here.ground.faults({ fault: 'contextLengthExceeded' });
  expect(await told(here.llm.gateway.chat(here.tenant.ask({ messages: talk })))).toMatchObject({
    field: 'messages contextLength',
  });
  expect(await here.tenant.calls()).toHaveLength(4);
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toEqual({});
});

test('400 context_length_exceeded: what cannot be trimmed fails with one call', async () => {
  await here.ground.faults({ fault: 'contextLengthExceeded' });
  expect(await told(here.llm.gateway.chat(here.tenant.ask()))).toMatchObject({
    kind: 'invalid',
    field: 'messages contextLength',
  });
  expect(await here.tenant.calls()).toHaveLength(1);
});

const lamp = {
  name: 'lamp',
  schema: {
    type: 'object',
    properties: { name: { type: 'string' }, watts: { type: 'integer' } },
    required: ['name', 'watts'],
    additionalProperties: false,
  },
};

test('schema-invalid JSON: repaired once with the same key, and both answers are paid for', async () => {
  await here.ground.faults({ fault: 'invalidJson', count: 1 });
  const answer = await here.llm.gateway.chat(here.tenant.ask({ schema: lamp }));
  expect(answer.json).toEqual({ name: expect.any(String), watts: expect.any(Number) });
  const [first, second, ...more] = await here.tenant.calls();
  expect(more).toEqual([]);
  expect(second?.key).toBe(first?.key);
  expect(first?.costMicros).toBeGreaterThan(0);
  expect(answer.costMicros).toBe(
    Math.ceil(first?.costMicros ?? 0) + Math.ceil(second?.costMicros ?? 0),
  );
  expect(await here.tenant.record()).toMatchObject({
    outcome: 'succeeded',
    attempts: 2,
    cost_micros: answer.costMicros,
    cost_source: 'vendor',
  });
});

test('schema-invalid JSON: wrong again it fails, and nothing changes', async () => {
  await here.ground.faults({ fault: 'invalidJson' });
  expect(await told(here.llm.gateway.chat(here.tenant.ask({ schema: lamp })))).toEqual({
    kind: 'providerFailed',
    code: 'llmFailed',
    because: 'schemaMismatch',
  });
  const calls = await here.tenant.calls();
  expect(new Set(calls.map(({ key }) => key)).size).toBe(1);
  expect(shown(calls)).toHaveLength(2);
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toEqual({});
  expect(await here.tenant.record()).toMatchObject({ failure_kind: 'schemaMismatch' });
});

test('a schema that is none is refused before anything is called or reserved', async () => {
  expect(
    await told(
      here.llm.gateway.chat(here.tenant.ask({ schema: { name: 'x', schema: { type: 'lamp' } } })),
    ),
  ).toMatchObject({ kind: 'invalid', field: 'schema invalidSchema' });
  expect(await here.tenant.calls()).toEqual([]);
  expect(await here.ground.database.db('llm_calls').where({ tenant_id: here.tenant.id })).toEqual(
    [],
  );
});
