import type { ChatConsumer } from '../../../domain/llm/types';
import type { ChatAsk } from '../../../gateway/types';
import type { OpenRouterFaultName } from '../../../sandbox';
import { until } from '../../support/conditions';
import { errorTold, models, read } from '../../support/llmGround';
import { onLlmGround } from './here';

const here = onLlmGround({ idleMs: 500 });

const stream = (changes: Partial<ChatAsk>, signal?: AbortSignal) =>
  here.llm.gateway.stream(here.tenant.ask(changes), signal === undefined ? {} : { signal });

const breaks: OpenRouterFaultName[] = [
  'midStreamError',
  'midStreamSilence',
  'midStreamCut',
  'noDone',
];

describe.each(breaks)('an answer that breaks off in the middle (%s)', (fault) => {
  beforeEach(() => here.ground.faults({ fault, count: 1, chunkDelayMs: 20 }));

  test('whoever sees it in the end gets one whole answer of another key', async () => {
    const { events, text, answer, error } = await read(stream({ consumer: 'buffered' }));
    expect(error).toBeNull();
    expect(events.map(({ type }) => type)).toEqual(['text', 'done']);
    expect(answer).toMatchObject({ attempts: 2, text });
    const [broken, whole] = await here.tenant.calls();
    expect(whole?.key).not.toBe(broken?.key);
  });

  test('with one key it is asked once more, and no oftener', async () => {
    await here.ground.database
      .db('llm_keys')
      .where({ tenant_id: here.tenant.id })
      .whereNot({ id: here.tenant.ids['north-1'] })
      .update({ standing: 'paused' });
    here.llm = await here.ground.process({ idleMs: 500 });
    const { answer } = await read(stream({ consumer: 'buffered' }));
    expect(answer).toMatchObject({ attempts: 2 });
    await here.ground.faults({ fault, chunkDelayMs: 20 });
    const { error } = await read(stream({ consumer: 'buffered' }));
    expect(errorTold(error)).toMatchObject({ because: 'brokenAnswer' });
    const calls = await here.tenant.calls();
    expect(calls.map(({ key }) => key)).toEqual(Array(4).fill('north-1'));
  });

  test('whoever can take it back is told to, and gets all of it anew', async () => {
    const { events, text, answer, error } = await read(stream({ consumer: 'resettable' }));
    expect(error).toBeNull();
    const types = events.map(({ type }) => type);
    expect(types.filter((type) => type === 'reset')).toHaveLength(1);
    expect(types.indexOf('reset')).toBeGreaterThan(0);
    expect(text).toBe(answer?.text);
    expect(answer?.attempts).toBe(2);
  });

  test('whoever saw it as it came gets the error, and no second answer', async () => {
    const { events, text, error } = await read(stream({ consumer: 'raw' }));
    expect(text).not.toBe('');
    expect(events.every(({ type }) => type === 'text')).toBe(true);
    expect(errorTold(error)).toEqual({
      kind: 'providerFailed',
      code: 'llmFailed',
      because: 'brokenAnswer',
    });
    const calls = await here.tenant.calls();
    expect(calls).toHaveLength(1);
    await here.llm.ring.flush();
    expect(await here.tenant.health()).toEqual({});
  });
});

test('what an answer cost that broke off is asked for, and billed', async () => {
  await here.ground.faults({ fault: 'midStreamError', count: 1 });
  const { answer } = await read(stream({ consumer: 'buffered' }));
  const [broken, whole] = await here.tenant.calls();
  expect(broken?.costMicros).toBeGreaterThan(0);
  expect(await here.tenant.record(answer?.callId)).toMatchObject({
    outcome: 'succeeded',
    cost_source: 'vendor',
    cost_micros: Math.ceil(broken?.costMicros ?? 0) + Math.ceil(whole?.costMicros ?? 0),
  });
});

test.each<ChatConsumer>(['buffered', 'resettable', 'raw'])(
  'an answer that ends before its first token is nobody’s loss (%s)',
  async (consumer) => {
    await here.ground.faults({ fault: 'cutBeforeFirstChunk', count: 1 });
    const { events, answer, error } = await read(stream({ consumer }));
    expect(error).toBeNull();
    expect(events.some(({ type }) => type === 'reset')).toBe(false);
    expect(answer?.attempts).toBe(2);
  },
);

test('client gone: the vendor is called off at once, and what it wrote is billed', async () => {
  await here.ground.faults({ chunkDelayMs: 100 });
  const gone = new AbortController();
  async function* leavingAtItsFirstWords() {
    for await (const event of stream({ consumer: 'raw' }, gone.signal)) {
      yield event;
      gone.abort(new Error('gone'));
    }
  }
  const { error, text } = await read(leavingAtItsFirstWords());
  expect(error).toEqual(new Error('gone'));
  expect(text).not.toBe('');
  await until('it was called off', async () => (await here.tenant.calls())[0]?.end === 'aborted');
  const record = await here.tenant.record();
  expect(record).toMatchObject({ outcome: 'cancelled', failure_kind: 'cancelled', attempts: 1 });
  expect(record['cost_micros']).toBeGreaterThan(0);
  await here.llm.ring.flush();
  expect(await here.tenant.health()).toEqual({});
  expect(here.llm.ring.snapshot().every(({ inFlight }) => inFlight === 0)).toBe(true);
});

test('whoever stops reading is gone as well', async () => {
  await here.ground.faults({ chunkDelayMs: 100 });
  for await (const event of stream({ consumer: 'raw' })) {
    expect(event.type).toBe('text');
    break;
  }
  await until('it was called off', async () => (await here.tenant.calls())[0]?.end === 'aborted');
  expect(await here.tenant.record()).toMatchObject({ outcome: 'cancelled', attempts: 1 });
  expect(here.llm.ring.snapshot().every(({ inFlight }) => inFlight === 0)).toBe(true);
});

test('whoever takes its words slowly, or not at all, holds no key longer than its vendor takes', async () => {
  const pieces = stream({ consumer: 'raw' })[Symbol.asyncIterator]();
  expect((await pieces.next()).value).toMatchObject({ type: 'text' });
  // Nobody asks on.
  await until('its key is free', () =>
    here.llm.ring.snapshot().every(({ inFlight }) => inFlight === 0),
  );
  const record = await here.tenant.record();
  expect(record).toMatchObject({ outcome: 'succeeded', attempts: 1 });
  const { text, answer } = await read({ [Symbol.asyncIterator]: () => pieces });
  expect(answer?.text.endsWith(text)).toBe(true);
  expect(answer?.callId).toBe(record['id']);
});

test('whoever leaves while it takes nothing is gone as well', async () => {
  await here.ground.faults({ chunkDelayMs: 100 });
  const gone = new AbortController();
  const pieces = stream({ consumer: 'raw' }, gone.signal)[Symbol.asyncIterator]();
  await pieces.next();
  gone.abort(new Error('gone'));
  expect(await here.tenant.record()).toMatchObject({ outcome: 'cancelled', attempts: 1 });
  expect(here.llm.ring.snapshot().every(({ inFlight }) => inFlight === 0)).toBe(true);
});

test('client gone before an answer came whole: called off, and recorded', async () => {
  await here.ground.faults({ latencyMs: 5_000 });
  const gone = new AbortController();
  const asked = here.llm.gateway
    .chat(here.tenant.ask(), { signal: gone.signal })
    .catch((error: unknown) => error);
  await until('it is under way', async () => (await here.tenant.calls()).length === 1);
  gone.abort(new Error('gone'));
  expect(await asked).toEqual(new Error('gone'));
  await until('it was called off', async () => (await here.tenant.calls())[0]?.end === 'aborted');
  expect(await here.tenant.record()).toMatchObject({
    outcome: 'cancelled',
    cost_source: 'estimate',
  });
});

test('an answer in a schema that does not fit is taken back and repaired', async () => {
  await here.ground.faults({ fault: 'invalidJson', count: 1 });
  const schema = {
    name: 'lamp',
    schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  };
  const { events, answer, error } = await read(stream({ consumer: 'resettable', schema }));
  expect(error).toBeNull();
  expect(events.some(({ type }) => type === 'reset')).toBe(true);
  expect(answer?.json).toEqual(JSON.parse(answer?.text ?? ''));
  const [first, second, ...more] = await here.tenant.calls();
  expect(more).toEqual([]);
  expect(second?.key).toBe(first?.key);
});

test('the time to the first token is that of the answer that lasted', async () => {
  await here.ground.faults({ fault: 'midStreamCut', count: 1, chunkDelayMs: 60 });
  const { answer } = await read(stream({ consumer: 'buffered', model: models.main }));
  const record = await here.tenant.record(answer?.callId);
  const attempts = await here.ground.database
    .db('llm_attempts')
    .where({ call_id: answer?.callId })
    .orderBy('n');
  expect(attempts.map(({ failure_kind: kind }) => kind)).toEqual(['brokenAnswer', null]);
  expect(record['first_token_ms']).toBeGreaterThan(attempts[0].total_ms);
  expect(record['first_token_ms']).toBeLessThanOrEqual(Number(record['total_ms']));
});
