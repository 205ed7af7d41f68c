import { models, read } from '../../support/llmGround';
import { onLlmGround } from './here';

const here = onLlmGround();

test('an answer is billed and recorded as its vendor counted it', async () => {
  const answer = await here.llm.gateway.chat(here.tenant.ask());
  expect(answer).toMatchObject({
    model: models.main,
    attempts: 1,
    finishReason: 'stop',
    json: null,
  });
  expect(answer.text).not.toBe('');
  expect(['north', 'south']).toContain(answer.account);
  const [call, ...more] = await here.tenant.calls();
  expect(more).toEqual([]);
  expect(call).toMatchObject({ status: 200, model: models.main });
  expect(answer.costMicros).toBe(Math.ceil(call?.costMicros ?? 0));
  expect(await here.tenant.record(answer.callId)).toMatchObject({
    outcome: 'succeeded',
    attempts: 1,
    cost_micros: answer.costMicros,
    cost_source: 'vendor',
    prompt_tokens: answer.usage.promptTokens,
    is_streamed: false,
    model: models.main,
  });
});

test('a stream comes in pieces that make the answer', async () => {
  const { events, text, answer, error } = await read(
    here.llm.gateway.stream(here.tenant.ask({ consumer: 'raw' })),
  );
  expect(error).toBeNull();
  expect(events.length).toBeGreaterThan(3);
  expect(answer?.text).toBe(text);
  expect(await here.tenant.record(answer?.callId)).toMatchObject({
    outcome: 'succeeded',
    is_streamed: true,
    first_token_ms: expect.any(Number),
    cost_micros: answer?.costMicros,
  });
});

test('a revoked key costs one call, and nobody an answer', async () => {
  await here.ground.faults({ fault: 'unauthorized', key: 'north-1' });
  const answers = [];
  for (let n = 0; n < 30; n += 1) {
    answers.push(await here.llm.gateway.chat(here.tenant.ask()));
  }
  expect(answers.every(({ text }) => text !== '')).toBe(true);
  const refused = (await here.tenant.calls()).filter(({ key }) => key === 'north-1');
  expect(refused.map(({ status }) => status)).toEqual([401]);
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toMatchObject({
    'key north-1': { state: 'cooling', reason: 'authentication' },
  });
});

test('vectors and pictures are billed alike', async () => {
  const { asker, priority, deadlineMs } = here.tenant.ask();
  const vectors = await here.llm.gateway.embed({
    asker,
    priority,
    deadlineMs,
    model: models.embedding,
    inputs: ['lamp', 'chair'],
    dimensions: 16,
  });
  expect(vectors.vectors.map(({ length }) => length)).toEqual([16, 16]);
  const pictures = await here.llm.gateway.image({
    asker,
    priority,
    deadlineMs,
    model: models.image,
    prompt: 'a lamp on a table',
    n: 2,
    size: null,
  });
  expect(pictures.images).toHaveLength(2);
  expect(pictures.costMicros).toBeGreaterThan(0);
  expect(await here.tenant.record(pictures.callId)).toMatchObject({
    kind: 'image',
    outcome: 'succeeded',
    cost_micros: pictures.costMicros,
  });
});
