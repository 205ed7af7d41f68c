import OpenAI from 'openai';
import { openRouterFaults, type OpenRouterFaultName, type Sandbox } from '../../../sandbox';
import { closeAll, openSandbox } from '../support';
import { ask, callsOf, model, openRouter, raw, secretOf, setFaults } from './support';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});
afterEach(closeAll);

const json = { model, messages: [{ role: 'user', content: 'Tell me of tea' }] };
const type = (error_type: string) => ({ metadata: { error_type } });
const limitedBy = (limit_source: string) => ({ metadata: { limit_source } });

/** Faults that answer with an error: the status, and what its body says. */
const refusals: [OpenRouterFaultName, number, object][] = [
  ['invalidRequest', 400, type('invalid_request')],
  ['invalidPrompt', 400, type('invalid_prompt')],
  ['stringTooLong', 400, type('string_too_long')],
  ['invalidImage', 400, type('invalid_image')],
  ['imageTooLarge', 400, type('image_too_large')],
  ['imageNotFound', 404, type('image_not_found')],
  ['contextLengthExceeded', 400, type('context_length_exceeded')],
  ['tokenLimitExceeded', 400, type('token_limit_exceeded')],
  ['contentPolicy', 400, type('content_policy_violation')],
  ['refusal', 400, type('refusal')],
  ['preconditionFailed', 412, type('precondition_failed')],
  ['payloadTooLarge', 413, type('payload_too_large')],
  ['unprocessable', 422, type('unprocessable')],
  ['unauthorized', 401, type('authentication')],
  ['outOfCredits', 402, limitedBy('openrouter_credits')],
  ['keyLimit', 402, limitedBy('openrouter_key_limit')],
  ['inFlightBudget', 402, limitedBy('openrouter_in_flight_budget')],
  ['weightExceedsBudget', 402, { metadata: { reason: 'weight_exceeds_budget' } }],
  ['moderation', 403, { metadata: { reasons: ['violence'], flagged_input: 'Tell me of tea' } }],
  ['guardrail', 403, { metadata: { patterns: [expect.any(String)] } }],
  ['guardrailBudget', 403, limitedBy('openrouter_guardrail_budget')],
  ['workspaceBudget', 403, limitedBy('openrouter_workspace_budget')],
  ['keyBudget', 403, limitedBy('openrouter_key_limit')],
  ['regionRestricted', 403, { metadata: { reason: 'region_restricted' } }],
  ['permissionDenied', 403, type('permission_denied')],
  ['noEndpoints', 404, { availability: { code: 'no_endpoints', fallback_models: [] } }],
  ['modelDeprecated', 404, { availability: { code: 'deprecated' } }],
  ['privacyConstraint', 404, { availability: { code: 'privacy' } }],
  ['parameterConstraint', 404, { availability: { code: 'constraint' } }],
  ['requestTimeout', 408, type('timeout')],
  ['gatewayTimeout', 504, type('timeout')],
  ['platformRateLimit', 429, type('rate_limit_exceeded')],
  ['freeRateLimit', 429, type('rate_limit_exceeded')],
  ['upstreamRateLimit', 429, { metadata: { provider_code: 'rate_limited' } }],
  ['capacityExhausted', 429, { availability: { code: 'capacity_exhausted', retry_after: 2 } }],
  ['serverError', 500, type('server')],
  ['badGateway', 502, type('provider_unavailable')],
  ['unavailable', 503, type('provider_overloaded')],
  ['overloaded', 529, type('provider_overloaded')],
];
const pages: [OpenRouterFaultName, number][] = [
  ['edgeTimeout', 524],
  ['edgeRateLimit', 429],
  ['edgeBan', 429],
];

test.each(refusals)('%s answers %i in its documented form', async (fault, status, body) => {
  await setFaults(sandbox, { fault });
  const answer = await raw(sandbox, '/chat/completions', { json });
  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.text)).toMatchObject({
    error: { message: expect.any(String), ...body },
  });
  const { items } = await callsOf(sandbox);
  expect(items).toMatchObject([{ fault, status, end: 'answered', costMicros: 0 }]);
});

test.each(pages)('%s answers %i with a page', async (fault, status) => {
  await setFaults(sandbox, { fault });
  const answer = await raw(sandbox, '/chat/completions', { json });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toMatch('text/html');
  expect(answer.text).toMatch(/^<!DOCTYPE html>/);
});

test('the limit of the platform says when it ends, in milliseconds', async () => {
  await setFaults(sandbox, { fault: 'platformRateLimit', resetsInSeconds: 30 });
  const before = Date.now();
  const error = await rateLimited();
  const resetsAt = Number(error.headers?.get('x-ratelimit-reset'));
  expect(resetsAt).toBeGreaterThanOrEqual(before + 30_000);
  expect(resetsAt).toBeLessThanOrEqual(Date.now() + 30_000);
  expect(error.headers?.get('x-ratelimit-remaining')).toBe('0');
  expect(error.headers?.get('retry-after')).toBeNull();

  await setFaults(sandbox, { fault: 'upstreamRateLimit', retryAfterSeconds: 7 });
  const upstream = await rateLimited();
  expect(upstream.headers?.get('retry-after')).toBe('7');
  expect(upstream.headers?.get('x-ratelimit-reset')).toBeNull();
});

async function rateLimited(): Promise<InstanceType<typeof OpenAI.RateLimitError>> {
  const error: unknown = await ask(openRouter(sandbox), 'x').catch((failure: unknown) => failure);
  if (error instanceof OpenAI.RateLimitError) {
    return error;
  }
  throw new Error('it was not limited', { cause: error });
}

test('a spent budget says when it comes back', async () => {
  await setFaults(sandbox, { fault: 'workspaceBudget', resetsInSeconds: 3_600 });
  const { text } = await raw(sandbox, '/chat/completions', { json });
  const { error }: { error: { metadata: { resets_at: string } } } = JSON.parse(text);
  expect(Date.parse(error.metadata.resets_at) - Date.now()).toBeGreaterThan(3_500_000);
  await setFaults(sandbox, { fault: 'inFlightBudget', retryAfterSeconds: 4 });
  const inFlight = await raw(sandbox, '/chat/completions', { json });
  expect(inFlight.headers.get('retry-after')).toBe('4');
});

describe('faults that show in the answer itself', () => {
  test('an error in a 200, and an end with an error before any content', async () => {
    await setFaults(sandbox, { fault: 'errorInBody', code: 429 });
    const inBody = await raw(sandbox, '/chat/completions', { json });
    expect([inBody.status, JSON.parse(inBody.text)]).toMatchObject([
      200,
      { error: { code: 429, metadata: { error_type: 'rate_limit_exceeded' } } },
    ]);
    await setFaults(sandbox, { fault: 'errorFinish' });
    const finished = await raw(sandbox, '/chat/completions', { json });
    expect(JSON.parse(finished.text)).toMatchObject({
      choices: [{ finish_reason: 'error', message: { content: '' }, error: { code: 502 } }],
    });
    const { items } = await callsOf(sandbox);
    expect(items.map(({ costMicros }) => costMicros)).toEqual([0, 0]);
  });

  test('an answer of nothing, and one that misses its schema once', async () => {
    await setFaults(
      sandbox,
      { fault: 'emptyContent', count: 1 },
      { fault: 'invalidJson', count: 1 },
    );
    const empty = await ask(openRouter(sandbox), 'x');
    expect(empty).toMatchObject({ choices: [{ message: { content: '' } }] });
    const response_format = {
      type: 'json_schema',
      json_schema: { name: 'x', schema: { type: 'object', properties: { a: { type: 'string' } } } },
    };
    const wrong = await ask(openRouter(sandbox), 'x', { response_format });
    expect(() => JSON.parse(wrong.choices[0]?.message.content ?? '')).toThrow('JSON');
    const right = await ask(openRouter(sandbox), 'x', { response_format });
    expect(JSON.parse(right.choices[0]?.message.content ?? '')).toEqual({ a: expect.any(String) });
  });

  test('a stream that ends with an error in the middle', async () => {
    await setFaults(sandbox, { fault: 'midStreamError', code: 503, afterChunks: 2 });
    const { text } = await raw(sandbox, '/chat/completions', { json: { ...json, stream: true } });
    const events = text.trim().split('\n\n').slice(1);
    expect(events).toHaveLength(3);
    expect(JSON.parse(events[2]?.slice(6) ?? '')).toMatchObject({
      error: { code: 503, metadata: { error_type: 'provider_overloaded' } },
      choices: [{ finish_reason: 'error', delta: { content: '' } }],
    });
    expect(text).not.toContain('[DONE]');
  });

  test('a stream without its end', async () => {
    await setFaults(sandbox, { fault: 'noDone' });
    const { text } = await raw(sandbox, '/chat/completions', { json: { ...json, stream: true } });
    expect(text).not.toMatch(/\[DONE\]|"finish_reason":"stop"/);
    expect(text.split('\n\n').length).toBeGreaterThan(3);
  });

  test.each([
    ['cutBeforeFirstChunk', 0],
    ['midStreamCut', 2],
  ] as const)('%s shows %i chunks and then a broken connection', async (fault, chunks) => {
    await setFaults(sandbox, { fault });
    expect(await streamed()).toMatchObject({ chunks, error: expect.anything() });
    expect((await callsOf(sandbox)).items).toMatchObject([{ fault, status: 200, end: 'cut' }]);
    await expect(ask(openRouter(sandbox), 'x')).rejects.toHaveProperty('message');
  });

  test('a stream that says nothing more is held open until the caller goes', async () => {
    await setFaults(sandbox, { fault: 'midStreamSilence', afterChunks: 3 });
    expect(await streamed(500)).toMatchObject({ chunks: 3 });
    expect((await callsOf(sandbox)).items).toMatchObject([{ end: 'hung', status: 200 }]);
  });

  test('a late first token sends comments and no token', async () => {
    await setFaults(sandbox, { fault: 'firstTokenLate', latencyMs: 600_000 });
    expect(await streamed(1_200)).toMatchObject({ chunks: 0 });
  });

  async function streamed(abortAfterMs = 10_000) {
    let chunks = 0;
    try {
      const stream = await openRouter(sandbox).chat.completions.create(
        { model, stream: true, messages: [{ role: 'user', content: 'Tell me of tea' }] },
        { signal: AbortSignal.timeout(abortAfterMs) },
      );
      for await (const chunk of stream) {
        chunks += chunk.choices[0]?.delta.content ? 1 : 0;
      }
      return { chunks, error: null };
    } catch (error) {
      return { chunks, error };
    }
  }
});

test('a connection is reset before anything is answered', async () => {
  await setFaults(sandbox, { fault: 'connectionReset' });
  await expect(ask(openRouter(sandbox), 'x')).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
  expect((await callsOf(sandbox)).items).toMatchObject([{ status: null, end: 'cut' }]);
});

test('a key that hangs is left by its caller; the stand-in closes all the same', async () => {
  await setFaults(sandbox, { fault: 'hang', key: 'north-1' });
  const signal = AbortSignal.timeout(300);
  const params = { model, messages: [{ role: 'user' as const, content: 'x' }] };
  await expect(
    openRouter(sandbox).chat.completions.create(params, { signal }),
  ).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
  expect((await callsOf(sandbox)).items).toMatchObject([{ end: 'hung' }]);
});

test('every fault is covered by a test of its form', () => {
  const inAnswers = [
    'errorInBody',
    'errorFinish',
    'emptyContent',
    'invalidJson',
    'midStreamError',
    'noDone',
    'cutBeforeFirstChunk',
    'midStreamCut',
    'midStreamSilence',
    'firstTokenLate',
    'connectionReset',
    'hang',
  ];
  const named = [...refusals.map(([name]) => name), ...pages.map(([name]) => name), ...inAnswers];
  expect([...named].sort()).toEqual([...openRouterFaults].sort());
});

describe('which calls a fault meets', () => {
  const failsWith = async (label: string, changes: object = {}) => {
    const { status } = await raw(sandbox, '/chat/completions', {
      secret: secretOf(label),
      json: { ...json, ...changes },
    });
    return status;
  };

  test.each([
    ['a key by its label', { key: 'north-2' }, [200, 429, 200]],
    ['a key by its last characters', { key: secretOf('south-1').slice(-4) }, [200, 200, 429]],
    ['an account', { account: 'north' }, [429, 429, 200]],
    ['a model', { model: 'openai/gpt-5' }, [200, 200, 200]],
    ['all', {}, [429, 429, 429]],
  ])('%s', async (_, match, statuses) => {
    await setFaults(sandbox, { fault: 'platformRateLimit', ...match });
    const met = await Promise.all(['north-1', 'north-2', 'south-1'].map((key) => failsWith(key)));
    expect(met).toEqual(statuses);
  });

  test('the first rule that matches decides', async () => {
    await setFaults(
      sandbox,
      { fault: 'keyLimit', key: 'north-1' },
      { fault: 'serverError', account: 'north' },
    );
    expect([await failsWith('north-1'), await failsWith('north-2')]).toEqual([402, 500]);
    expect(await failsWith('south-1')).toBe(200);
  });

  test('all that makes an answer slow adds up; a refusal waits for its own rule', async () => {
    await setFaults(
      sandbox,
      { latencyMs: 150 },
      { latencyMs: 150, key: 'north-1' },
      { fault: 'serverError', key: 'north-2', latencyMs: 100 },
    );
    const took = async (label: string) => {
      const from = performance.now();
      await failsWith(label);
      return performance.now() - from;
    };
    // Timers may be a little early.
    expect(await took('north-1')).toBeGreaterThanOrEqual(295);
    expect(await took('north-2')).toBeGreaterThanOrEqual(95);
  });

  test('some calls first, then so many', async () => {
    await setFaults(sandbox, { fault: 'serverError', afterCalls: 1, count: 2 });
    const statuses = [];
    for (let n = 0; n < 4; n += 1) {
      statuses.push(await failsWith('north-1'));
    }
    expect(statuses).toEqual([200, 500, 500, 200]);
  });

  test('a share of them, the same again for a seed', async () => {
    const statusesOf = async () => {
      await setFaults(sandbox, { fault: 'serverError', share: 0.5, seed: 'a' });
      const statuses = [];
      for (let n = 0; n < 12; n += 1) {
        statuses.push(await failsWith('north-1'));
      }
      return statuses;
    };
    const first = await statusesOf();
    expect(new Set(first)).toEqual(new Set([200, 500]));
    expect(await statusesOf()).toEqual(first);
  });

  test('for a time', async () => {
    await setFaults(sandbox, { fault: 'serverError', forMs: 400 });
    expect(await failsWith('north-1')).toBe(500);
    const until = Date.now() + 10_000;
    let last = 500;
    while (last !== 200 && Date.now() < until) {
      last = await failsWith('north-1');
    }
    expect(last).toBe(200);
  });

  test('the next model of the list answers where one cannot', async () => {
    await setFaults(sandbox, { fault: 'noEndpoints', model });
    const models = [model, 'openai/gpt-4o-mini'];
    const { status, text } = await raw(sandbox, '/chat/completions', {
      json: { messages: json.messages, models },
    });
    expect([status, JSON.parse(text)]).toMatchObject([200, { model: 'openai/gpt-4o-mini' }]);
  });
});
