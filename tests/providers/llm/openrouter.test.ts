import type { ServerResponse } from 'node:http';
import { createLlmProviders } from '../../../providers/llm';
import type { ChatPiece } from '../../../domain/llm/types';
import {
  answerJson,
  apiKey,
  beginStream,
  chatCall,
  chunk,
  collect,
  event,
  failureOf,
  limits,
  openVendor,
  prompt,
  reply,
  usage,
  usageSeen,
  type Vendor,
} from './support';

const providers = createLlmProviders({ onlyPublic: false });
const { openrouter } = providers;
let vendor: Vendor;

beforeAll(async () => {
  vendor = await openVendor();
});

afterAll(async () => {
  await vendor.close();
  await openrouter.close();
  await providers.openai.close();
});

function chat(more = {}, options = {}) {
  return openrouter.chat(chatCall(more), vendor.credentials, limits(options));
}

function stream(more = {}, options = {}) {
  return openrouter.stream(chatCall(more), vendor.credentials, limits(options));
}

/** Writes the same for ever, as fast as it is read, until nobody reads it any more. */
function writeOn(response: ServerResponse, text: string, gone: Promise<void>): void {
  let isGone = false;
  void gone.then(() => {
    isGone = true;
  });
  const next = () => {
    if (!isGone) {
      response.write(text, () => setImmediate(next));
    }
  };
  next();
}

describe('what is sent', () => {
  test('is the call, the key, and nothing of this machine', async () => {
    vendor.answers((response) => answerJson(response, reply({ content: 'Hello' })));
    await chat({
      temperature: 0,
      sessionId: 'conversation-7',
      endUser: 'u-1',
      schema: { name: 'lines', schema: { type: 'object' } },
      tools: [{ name: 'look', description: 'Looks', parameters: { type: 'object' } }],
      messages: [
        { role: 'system', content: 'Short.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image', url: 'https://x.example/1.png' },
          ],
        },
        {
          role: 'assistant',
          content: null,
          toolCalls: [{ id: 't1', name: 'look', arguments: '{}' }],
        },
        { role: 'tool', toolCallId: 't1', content: 'a bicycle' },
      ],
    });
    expect(vendor.asked).toHaveLength(1);
    expect(vendor.asked[0]).toMatchObject({ method: 'POST', path: '/api/v1/chat/completions' });
    expect(vendor.asked[0]?.headers).toMatchObject({
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
    });
    expect(Object.keys(vendor.asked[0]?.headers ?? {}).join()).not.toMatch(
      /stainless|organization|project/,
    );
    expect(vendor.asked[0]?.body).toEqual({
      model: 'vendor/model',
      max_tokens: 500,
      temperature: 0,
      session_id: 'conversation-7',
      user: 'u-1',
      provider: { require_parameters: true },
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'lines', strict: true, schema: { type: 'object' } },
      },
      tools: [
        {
          type: 'function',
          function: { name: 'look', description: 'Looks', parameters: { type: 'object' } },
        },
      ],
      messages: [
        { role: 'system', content: 'Short.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url: 'https://x.example/1.png' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 't1', type: 'function', function: { name: 'look', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 't1', content: 'a bicycle' },
      ],
    });
  });

  test('marks long system messages to be cached for models that ask for it', async () => {
    vendor.answers((response) => answerJson(response, reply({ content: 'Hello' })));
    const rules = 'Be brief. '.repeat(500);
    const messages = [
      { role: 'system', content: rules },
      { role: 'user', content: prompt },
    ] as const;
    await chat({ messages, cachesPrompt: true, model: 'anthropic/claude-sonnet-5' });
    await chat({ messages, cachesPrompt: true, model: 'openai/gpt-6' });
    expect(vendor.asked.map(({ body }) => body['messages'])).toEqual([
      [
        {
          role: 'system',
          content: [{ type: 'text', text: rules, cache_control: { type: 'ephemeral' } }],
        },
        { role: 'user', content: prompt },
      ],
      messages,
    ]);
  });
});

describe('a whole answer', () => {
  test('is its text, why it ended, and what it cost', async () => {
    vendor.answers((response) => answerJson(response, reply({ content: 'Two lines' }, 'length')));
    await expect(chat()).resolves.toEqual({
      generationId: 'gen-1',
      model: 'vendor/model',
      text: 'Two lines',
      toolCalls: [],
      finishReason: 'length',
      usage: usageSeen,
    });
  });

  test('may be calls of tools alone', async () => {
    const toolCalls = [
      { id: 't1', type: 'function', function: { name: 'look', arguments: '{"a":1}' } },
    ];
    vendor.answers((response) =>
      answerJson(response, reply({ content: null, tool_calls: toolCalls }, 'tool_calls')),
    );
    await expect(chat()).resolves.toMatchObject({
      text: '',
      finishReason: 'toolCalls',
      toolCalls: [{ id: 't1', name: 'look', arguments: '{"a":1}' }],
    });
  });

  test.each([
    ['with an error', { error: { code: 502, message: 'Provider returned error' } }, 'serverError'],
    ['that ends by an error', reply({ content: 'Half' }, 'error'), 'brokenAnswer'],
    ['without a word', reply({ content: '' }), 'emptyAnswer'],
    ['without choices', { id: 'gen-1', choices: [] }, 'emptyAnswer'],
    ['that is a refusal', reply({ content: null, refusal: 'I cannot' }), 'refused'],
    ['that a filter took', reply({ content: null }, 'content_filter'), 'refused'],
  ])('%s is none', async (_, body, kind) => {
    vendor.answers((response) => answerJson(response, body));
    await expect(failureOf(chat())).resolves.toMatchObject({ kind });
  });

  test('that is no JSON is none', async () => {
    vendor.answers((response) => response.end('<html>Welcome</html>'));
    await expect(failureOf(chat())).resolves.toMatchObject({ kind: 'brokenAnswer' });
  });

  test('that is longer than was asked for is none', async () => {
    const answer = reply({ content: 'x'.repeat(400_000) });
    vendor.answers((response) => answerJson(response, answer));
    await expect(failureOf(chat({ maxTokens: 100 }))).resolves.toMatchObject({
      kind: 'brokenAnswer',
    });
    await expect(chat({ maxTokens: 10_000 })).resolves.toMatchObject({ finishReason: 'stop' });
  });

  test('of an error without an end is not read to it', async () => {
    vendor.answers((response, { gone }) => {
      response.writeHead(500);
      writeOn(response, 'x'.repeat(65_536), gone);
    });
    await expect(failureOf(chat())).resolves.toMatchObject({ kind: 'serverError', status: 500 });
  });

  test('of an error keeps its headers', async () => {
    vendor.answers((response) =>
      answerJson(response, { error: { code: 429, message: 'Rate limit exceeded' } }, 429, {
        'Retry-After': '30',
        'X-RateLimit-Remaining': '0',
      }),
    );
    await expect(failureOf(chat())).resolves.toMatchObject({
      kind: 'platformRateLimit',
      status: 429,
      retryAfterMs: 30_000,
    });
    expect(vendor.asked).toHaveLength(1);
  });

  test('of an error that is not under `error` is read all the same', async () => {
    vendor.answers((response) =>
      answerJson(response, { object: 'error', message: 'The model `x` does not exist.' }, 404),
    );
    await expect(failureOf(chat())).resolves.toMatchObject({
      kind: 'modelUnavailable',
      message: 'The model `x` does not exist.',
    });
  });

  test('of an error that quotes the call and the key does not get out', async () => {
    vendor.answers((response) =>
      answerJson(response, { error: { code: 400, message: `bad: ${prompt} by ${apiKey}` } }, 400),
    );
    await expect(failureOf(chat())).resolves.toMatchObject({ message: 'bad: […] by [secret]' });
  });

  test('as a page of the edge is not shown', async () => {
    vendor.answers((response) => {
      response.writeHead(429, { 'Content-Type': 'text/html' });
      response.end('<html>error 1015</html>');
    });
    await expect(failureOf(chat())).resolves.toMatchObject({
      kind: 'edgeRateLimit',
      message: 'HTTP 429',
    });
  });
});

describe('an answer that streams', () => {
  test('comes in pieces of text, and whole at its end', async () => {
    vendor.answers((response) => {
      beginStream(response);
      // Cut anywhere: in the middle of a letter too.
      const bytes = Buffer.from(
        event(chunk({ role: 'assistant', content: '' })) +
          event(chunk({ content: 'Grüße ' })) +
          event(chunk({ content: 'aus Utrecht' })) +
          event(
            chunk({
              tool_calls: [{ index: 0, id: 't1', function: { name: 'look', arguments: '{"a"' } }],
            }),
          ) +
          event(chunk({ tool_calls: [{ index: 0, function: { arguments: ':1}' } }] })) +
          event(chunk({}, 'tool_calls')) +
          event(chunk({}, null, { choices: [], usage })) +
          event('[DONE]'),
      );
      for (let at = 0; at < bytes.length; at += 7) {
        response.write(bytes.subarray(at, at + 7));
      }
      response.end();
    });
    const pieces = await collect(stream());
    expect(vendor.asked[0]?.body).toMatchObject({ stream: true });
    expect(pieces).toEqual([
      { type: 'text', text: 'Grüße ' },
      { type: 'text', text: 'aus Utrecht' },
      {
        type: 'end',
        reply: {
          generationId: 'gen-1',
          model: 'vendor/model',
          text: 'Grüße aus Utrecht',
          toolCalls: [{ id: 't1', name: 'look', arguments: '{"a":1}' }],
          finishReason: 'toolCalls',
          usage: usageSeen,
        },
      },
    ]);
  });

  test('leaves its connection to the next one', async () => {
    vendor.answers((response) => {
      beginStream(response);
      response.write(event(chunk({ content: 'Hello' }, 'stop')));
      response.end(event('[DONE]'));
    });
    await collect(stream());
    const before = vendor.connections();
    for (let n = 0; n < 5; n += 1) {
      // Nobody asks on after the end, as the gateway does.
      const pieces = stream()[Symbol.asyncIterator]();
      // oxlint-disable-next-line no-await-in-loop -- one after the other is what is tested
      await Promise.all([pieces.next(), pieces.next()]);
    }
    // The first one may come before the last one is read to its end.
    expect(vendor.connections() - before).toBeLessThanOrEqual(1);
  });

  test('without an end is given up', async () => {
    vendor.answers((response, { gone }) => {
      beginStream(response);
      writeOn(response, event(chunk({ content: 'x'.repeat(16_384) })), gone);
    });
    await expect(failureOf(collect(stream({ maxTokens: 100 })))).resolves.toMatchObject({
      kind: 'brokenAnswer',
      hadBegun: true,
    });
    await vendor.asked[0]?.gone;
  });

  const begun = event(chunk({ content: 'Half an ' }));
  test.each([
    [
      'an error before its first token',
      event({
        error: { code: 429, message: 'Provider returned error', metadata: { provider_name: 'X' } },
        choices: [],
      }),
      'upstreamRateLimit',
      false,
    ],
    [
      'an end by error before its first token',
      event(chunk({}, 'error')) + event('[DONE]'),
      'serverError',
      false,
    ],
    [
      'an error in the middle',
      begun +
        event({
          error: { code: 502, message: 'Gone' },
          choices: [{ delta: {}, finish_reason: 'error' }],
        }),
      'brokenAnswer',
      true,
    ],
    ['an end without its mark', begun + event(chunk({}, 'stop')), 'brokenAnswer', true],
    ['its mark in the middle', begun + event('[DONE]'), 'brokenAnswer', true],
    ['nothing but its mark', event('[DONE]'), 'emptyAnswer', false],
    ['what cannot be read', begun + event('{"half'), 'brokenAnswer', true],
  ])('with %s is none', async (_, body, kind, hadBegun) => {
    vendor.answers((response) => {
      beginStream(response);
      response.end(body);
    });
    await expect(failureOf(collect(stream()))).resolves.toMatchObject({ kind, hadBegun });
  });

  test.each([
    ['cut off', begun],
    // In the same bytes as what came before it.
    ['broken by an error', begun + event({ error: { code: 502, message: 'Gone' } })],
  ])('that is %s says what came of it', async (_, body) => {
    vendor.answers((response) => {
      beginStream(response);
      response.write(body, () => response.destroy());
    });
    const pieces: ChatPiece[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const piece of stream()) {
          pieces.push(piece);
        }
      })(),
    );
    expect(pieces).toEqual([{ type: 'text', text: 'Half an ' }]);
    expect(failure).toMatchObject({ kind: 'brokenAnswer', hadBegun: true });
  });

  test('is refused by its status like a whole one', async () => {
    vendor.answers((response) =>
      answerJson(response, { error: { code: 401, message: 'User not found.' } }, 401),
    );
    await expect(failureOf(collect(stream()))).resolves.toMatchObject({ kind: 'authentication' });
  });

  test('ends upstream when nobody listens any more', async () => {
    vendor.answers((response) => {
      beginStream(response);
      response.write(begun);
    });
    for await (const piece of stream()) {
      expect(piece).toEqual({ type: 'text', text: 'Half an ' });
      break;
    }
    await vendor.asked[0]?.gone;
  });
});

describe('limits', () => {
  test('of the whole time', async () => {
    vendor.answers(() => undefined);
    await expect(failureOf(chat({}, { timeoutMs: 50 }))).resolves.toMatchObject({
      kind: 'timeout',
    });
    await vendor.asked[0]?.gone;
  });

  test('of the first token, which comments are not', async () => {
    vendor.answers((response) => {
      beginStream(response);
      const timer = setInterval(() => response.write(': OPENROUTER PROCESSING\n\n'), 10);
      response.once('close', () => clearInterval(timer));
    });
    await expect(failureOf(collect(stream({}, { firstTokenMs: 100 })))).resolves.toMatchObject({
      kind: 'firstTokenTimeout',
      hadBegun: false,
    });
    await vendor.asked[0]?.gone;
  });

  test('of silence in the middle, which comments do not break', async () => {
    vendor.answers((response) => {
      beginStream(response);
      response.write(event(chunk({ content: 'Half' })));
      const timer = setInterval(() => response.write(': OPENROUTER PROCESSING\n\n'), 10);
      response.once('close', () => clearInterval(timer));
    });
    await expect(failureOf(collect(stream({}, { idleMs: 100 })))).resolves.toMatchObject({
      kind: 'brokenAnswer',
      hadBegun: true,
    });
  });

  test('whoever asked is gone: the call ends upstream', async () => {
    const controller = new AbortController();
    vendor.answers(() => controller.abort());
    await expect(failureOf(chat({}, { signal: controller.signal }))).resolves.toMatchObject({
      kind: 'cancelled',
      scope: 'none',
    });
    await vendor.asked[0]?.gone;
    await expect(failureOf(chat({}, { signal: controller.signal }))).resolves.toMatchObject({
      kind: 'cancelled',
    });
    expect(vendor.asked).toHaveLength(1);
  });
});

describe('connections', () => {
  test('that nobody takes are told from ones that end', async () => {
    const other = await openVendor();
    await other.close();
    await expect(
      failureOf(openrouter.chat(chatCall(), other.credentials, limits())),
    ).resolves.toMatchObject({
      kind: 'unreachable',
      scope: 'platform',
      vendorCode: 'ECONNREFUSED',
    });
    vendor.answers((response) => response.destroy());
    await expect(failureOf(chat())).resolves.toMatchObject({ kind: 'serverError', status: null });
  });
});

describe('beside chat', () => {
  test('embeds in order, as floats', async () => {
    vendor.answers((response) =>
      answerJson(
        response,
        {
          model: 'vendor/embed',
          data: [
            { index: 1, embedding: [0.3, 0.4] },
            { index: 0, embedding: [0.1, 0.2] },
          ],
          usage: { prompt_tokens: 8, cost: 0.000001 },
        },
        200,
        { 'X-Generation-Id': 'gen-9' },
      ),
    );
    const call = { model: 'vendor/embed', inputs: ['a', 'b'], dimensions: 2 };
    await expect(openrouter.embed(call, vendor.credentials, limits())).resolves.toMatchObject({
      vectors: [
        [0.1, 0.2],
        [0.3, 0.4],
      ],
      generationId: 'gen-9',
      usage: { promptTokens: 8, costMicros: 1 },
    });
    expect(vendor.asked[0]?.body).toEqual({
      model: 'vendor/embed',
      input: ['a', 'b'],
      encoding_format: 'float',
      dimensions: 2,
    });
  });

  test('makes pictures', async () => {
    vendor.answers((response) =>
      answerJson(response, {
        data: [{ b64_json: 'aGk=', media_type: 'image/webp' }],
        usage: { cost: 0.04 },
      }),
    );
    const call = { model: 'vendor/image', prompt, n: 1, size: '512x512' };
    await expect(openrouter.image(call, vendor.credentials, limits())).resolves.toMatchObject({
      images: [{ base64: 'aGk=', mediaType: 'image/webp' }],
      usage: { costMicros: 40_000 },
    });
    expect(vendor.asked[0]?.path).toBe('/api/v1/images');
  });

  test('reads a key, credits, models and what an answer cost', async () => {
    vendor.answers((response, { path }) => {
      const answers: Record<string, unknown> = {
        '/api/v1/key': {
          data: {
            limit: 10,
            limit_remaining: 2.5,
            limit_reset: 'daily',
            usage: 7.5,
            is_free_tier: false,
            expires_at: '2027-01-01T00:00:00Z',
          },
        },
        '/api/v1/credits': { data: { total_credits: 20, total_usage: 19.9999995 } },
        '/api/v1/models': {
          data: [
            {
              id: 'vendor/model',
              name: 'Model',
              context_length: 128_000,
              top_provider: { max_completion_tokens: 8_192 },
              architecture: { input_modalities: ['text', 'image'], output_modalities: ['text'] },
              supported_parameters: ['tools', 'response_format'],
              pricing: {
                prompt: '0.00000015',
                completion: '0.0000006',
                input_cache_read: '0.000000075',
                request: '0',
                image: '0.00072',
              },
            },
            {
              id: 'openrouter/auto',
              name: 'Auto',
              context_length: 2_000_000,
              pricing: { prompt: '-1', completion: '-1' },
            },
          ],
        },
        '/api/v1/generation?id=gen-1': {
          data: { total_cost: 0.0025, tokens_prompt: 3, tokens_completion: 4 },
        },
      };
      const found = answers[path];
      answerJson(
        response,
        found ?? { error: { code: 404, message: 'Generation not found' } },
        found === undefined ? 404 : 200,
      );
    });
    const options = { signal: new AbortController().signal, timeoutMs: 10_000 };
    await expect(openrouter.keyStatus(vendor.credentials, options)).resolves.toEqual({
      limitMicros: 10_000_000,
      limitRemainingMicros: 2_500_000,
      limitReset: 'daily',
      usageMicros: 7_500_000,
      isFreeTier: false,
      expiresAt: Date.UTC(2027, 0, 1),
    });
    await expect(openrouter.credits(vendor.credentials, options)).resolves.toEqual({
      remainingMicros: 0,
    });
    await expect(openrouter.models(vendor.credentials, options)).resolves.toEqual([
      {
        id: 'vendor/model',
        name: 'Model',
        contextTokens: 128_000,
        maxOutputTokens: 8_192,
        inputModalities: ['text', 'image'],
        outputModalities: ['text'],
        parameters: ['tools', 'response_format'],
        promptMicrosPerMillion: 150_000,
        completionMicrosPerMillion: 600_000,
        cachedMicrosPerMillion: 75_000,
        requestMicros: 0,
        imageMicros: 720,
      },
    ]);
    await expect(
      openrouter.generationCost('gen-1', vendor.credentials, options),
    ).resolves.toMatchObject({ costMicros: 2_500, promptTokens: 3 });
    await expect(
      openrouter.generationCost('gen-2', vendor.credentials, options),
    ).resolves.toBeNull();
  });

  test('a key that opens nothing says so', async () => {
    vendor.answers((response) =>
      answerJson(response, { error: { code: 401, message: 'No auth' } }, 401),
    );
    const options = { signal: new AbortController().signal, timeoutMs: 10_000 };
    await expect(
      failureOf(openrouter.keyStatus(vendor.credentials, options)),
    ).resolves.toMatchObject({ kind: 'authentication', scope: 'key' });
  });
});
