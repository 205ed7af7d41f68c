import { randomBytes } from 'node:crypto';
import { failureKinds, type FailureKind, type LlmFailure } from '../../../domain/llm/failures';
import { classify, type AttemptSign } from '../../../providers/llm/classify';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);
const apiKey = 'sk-or-v1-4f1c0d9ab2e84b7f9a61';
const prompt =
  'Our customer Ada Lovelace asked us why her parcel 4711 has not come to Utrecht yet.';
const place = {
  model: 'anthropic/claude-sonnet-5',
  now,
  unspeakable: { apiKey, prompt: [prompt] },
};

interface Row {
  name: string;
  status: number;
  headers?: Record<string, string>;
  body: unknown;
  model?: string;
  hadBegun?: boolean;
  expected: Partial<LlmFailure> & { kind: FailureKind };
}

function openRouter(code: number, message: string, metadata?: object) {
  return { error: { code, message, ...(metadata === undefined ? {} : { metadata }) } };
}

const rows: Row[] = [
  // 400
  ...['invalid_request', 'invalid_prompt', 'image_too_large', 'string_too_long'].map((type) => ({
    name: `400 ${type}`,
    status: 400,
    body: openRouter(400, 'Invalid input', { error_type: type }),
    expected: { kind: 'invalidRequest' as const, scope: 'request' as const, vendorCode: type },
  })),
  {
    name: '400 context_length_exceeded',
    status: 400,
    body: openRouter(400, "This endpoint's maximum context length is 8192 tokens", {
      error_type: 'context_length_exceeded',
    }),
    expected: { kind: 'contextLength', scope: 'request', vendorCode: 'context_length_exceeded' },
  },
  {
    name: '400 that speaks of the context by its words alone',
    status: 400,
    body: openRouter(400, "This model's maximum context length is 8192 tokens. You asked for 9000"),
    expected: { kind: 'contextLength', vendorCode: null },
  },
  {
    name: '400 token_limit_exceeded',
    status: 400,
    body: openRouter(400, 'max_tokens is more than the balance pays for', {
      error_type: 'token_limit_exceeded',
    }),
    expected: { kind: 'tokenLimit', scope: 'account' },
  },
  ...['content_policy', 'content_policy_violation', 'refusal'].map((type) => ({
    name: `400 ${type}`,
    status: 400,
    body: openRouter(400, 'The model refused', { error_type: type }),
    expected: { kind: 'refused' as const, scope: 'request' as const },
  })),
  {
    name: '400 of a model nobody knows',
    status: 400,
    body: openRouter(400, 'foo/bar is not a valid model ID'),
    expected: { kind: 'modelUnavailable', scope: 'model' },
  },
  {
    name: '400 of a model nobody knows, by a name that says nothing',
    status: 400,
    body: openRouter(400, 'foo/bar is not a valid model ID', { error_type: 'invalid_request' }),
    expected: { kind: 'modelUnavailable', scope: 'model' },
  },
  // 401
  {
    name: '401 of OpenRouter',
    status: 401,
    body: openRouter(401, 'User not found.'),
    expected: { kind: 'authentication', scope: 'key', status: 401 },
  },
  {
    name: '401 of OpenAI, which calls everything an invalid request',
    status: 401,
    body: {
      error: {
        message: `Incorrect API key provided: ${apiKey}.`,
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_api_key',
      },
    },
    expected: {
      kind: 'authentication',
      vendorCode: 'invalid_api_key',
      message: 'Incorrect API key provided: [secret].',
    },
  },
  // 402
  {
    name: '402 openrouter_credits',
    status: 402,
    body: openRouter(402, 'Insufficient credits', { limit_source: 'openrouter_credits' }),
    expected: { kind: 'credits', scope: 'account', vendorCode: 'openrouter_credits' },
  },
  {
    name: '402 in words alone',
    status: 402,
    body: openRouter(402, 'Insufficient credits. Add more at the settings.'),
    expected: { kind: 'credits', scope: 'account' },
  },
  {
    name: '402 openrouter_key_limit',
    status: 402,
    body: openRouter(402, 'Key limit reached', { limit_source: 'openrouter_key_limit' }),
    expected: { kind: 'keyLimit', scope: 'key' },
  },
  {
    name: '402 openrouter_in_flight_budget with Retry-After',
    status: 402,
    headers: { 'retry-after': '7' },
    body: openRouter(402, 'Too much in flight', { limit_source: 'openrouter_in_flight_budget' }),
    expected: { kind: 'inFlightBudget', scope: 'account', retryAfterMs: 7_000 },
  },
  {
    name: '402 weight_exceeds_budget',
    status: 402,
    body: openRouter(402, 'This request needs more', { error_type: 'weight_exceeds_budget' }),
    expected: { kind: 'exceedsBalance', scope: 'account' },
  },
  {
    name: '402 weight_exceeds_budget beside its source',
    status: 402,
    body: openRouter(402, 'This request needs more', {
      error_type: 'payment_required',
      limit_source: 'openrouter_in_flight_budget',
      reason: 'weight_exceeds_budget',
    }),
    expected: { kind: 'exceedsBalance', scope: 'account' },
  },
  {
    name: '402 of a request that is larger than what is left, in words',
    status: 402,
    body: openRouter(
      402,
      'This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 4321.',
    ),
    expected: { kind: 'exceedsBalance', scope: 'account' },
  },
  {
    name: '402 of a source nobody knows',
    status: 402,
    body: openRouter(402, 'No', { limit_source: 'openrouter_something_new' }),
    expected: { kind: 'credits', scope: 'account', vendorCode: 'openrouter_something_new' },
  },
  // 403
  {
    name: '403 of a moderation',
    status: 403,
    body: openRouter(403, 'Your chosen model requires moderation and your input was flagged', {
      reasons: ['harassment'],
      flagged_input: prompt.slice(0, 50),
      provider_name: 'OpenAI',
    }),
    expected: { kind: 'moderation', scope: 'request' },
  },
  {
    name: '403 of a guardrail',
    status: 403,
    body: openRouter(403, 'Blocked', { error_type: 'guardrail', patterns: ['credit_card'] }),
    expected: { kind: 'moderation', scope: 'request' },
  },
  {
    name: '403 of a budget, until it resets',
    status: 403,
    body: openRouter(403, 'Budget exceeded', {
      limit_source: 'workspace_budget',
      resets_at: '2026-11-22T00:00:00.000Z',
    }),
    expected: {
      kind: 'budgetSpent',
      scope: 'key',
      resetsAt: Date.UTC(2026, 10, 22),
      retryAfterMs: 12 * 3_600_000,
      vendorCode: 'workspace_budget',
    },
  },
  {
    name: "403 of a key's limit, in words",
    status: 403,
    body: openRouter(403, 'Key limit exceeded (daily limit).'),
    expected: { kind: 'keyLimit', scope: 'key' },
  },
  ...['region_restricted', 'permission', 'permission_denied'].map((type) => ({
    name: `403 ${type}`,
    status: 403,
    body: openRouter(403, 'Not from here', { error_type: type }),
    expected: { kind: 'notPermitted' as const, scope: 'accountModel' as const },
  })),
  {
    name: '403 without a reason',
    status: 403,
    body: openRouter(403, 'Forbidden'),
    expected: { kind: 'notPermitted', scope: 'accountModel' },
  },
  // 404
  {
    name: '404 without endpoints, with models in its place',
    status: 404,
    body: {
      error: {
        message: 'No endpoints found for this model',
        error_type: 'not_found',
        http_status: 404,
        availability: {
          code: 'no_endpoints',
          retryable: false,
          fallback_models: ['openai/gpt-6-mini', 7, 'mistral/large'],
        },
      },
    },
    expected: {
      kind: 'modelUnavailable',
      scope: 'model',
      fallbackModels: ['openai/gpt-6-mini', 'mistral/large'],
    },
  },
  ...['deprecated', 'privacy', 'constraint'].map((type) => ({
    name: `404 ${type}`,
    status: 404,
    body: openRouter(404, 'Not to be had', { error_type: type }),
    expected: { kind: 'modelUnavailable' as const, scope: 'model' as const },
  })),
  {
    name: '404 of a policy, in words',
    status: 404,
    body: openRouter(404, 'No endpoints found matching your data policy.'),
    expected: { kind: 'modelUnavailable', scope: 'model' },
  },
  {
    name: '404 of an address',
    status: 404,
    body: openRouter(404, 'Not Found'),
    expected: { kind: 'invalidRequest', scope: 'request' },
  },
  // Time
  ...[408, 504, 524].map((status) => ({
    name: String(status),
    status,
    body: openRouter(status, 'Timed out'),
    expected: { kind: 'timeout' as const, scope: 'model' as const, status },
  })),
  ...[412, 413, 422].map((status) => ({
    name: String(status),
    status,
    body: openRouter(status, 'Not so'),
    expected: { kind: 'invalidRequest' as const, scope: 'request' as const, status },
  })),
  // 429
  {
    name: '429 of the platform',
    status: 429,
    headers: {
      'x-ratelimit-limit': '1000',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(now + 42_000),
    },
    body: openRouter(429, 'Rate limit exceeded: limit_rpm/x'),
    expected: {
      kind: 'platformRateLimit',
      scope: 'account',
      resetsAt: now + 42_000,
      retryAfterMs: 42_000,
      isFreeClass: false,
    },
  },
  {
    name: '429 of the class of free models, its headers in the body',
    status: 429,
    model: 'meta/llama-5:free',
    body: openRouter(429, 'Rate limit exceeded: free-models-per-day', {
      headers: {
        'X-RateLimit-Limit': '50',
        'X-RateLimit-Remaining': '0',
        'X-RateLimit-Reset': String(Date.UTC(2026, 10, 22)),
      },
    }),
    expected: {
      kind: 'platformRateLimit',
      scope: 'account',
      isFreeClass: true,
      resetsAt: Date.UTC(2026, 10, 22),
    },
  },
  {
    name: '429 with a date to come back',
    status: 429,
    headers: { 'retry-after': 'Sat, 21 Nov 2026 12:01:30 GMT', 'x-ratelimit-remaining': '0' },
    body: openRouter(429, 'Rate limit exceeded'),
    expected: { kind: 'platformRateLimit', retryAfterMs: 90_000, resetsAt: null },
  },
  {
    name: "429 of the model's provider",
    status: 429,
    headers: { 'retry-after': '2' },
    body: openRouter(429, 'Provider returned error', {
      error_type: 'rate_limit_exceeded',
      provider_code: 'rate_limited',
      provider_name: 'DeepInfra',
      raw: 'slow down',
    }),
    expected: { kind: 'upstreamRateLimit', scope: 'model', retryAfterMs: 2_000 },
  },
  {
    name: '429 without capacity, in the form of availability',
    status: 429,
    body: {
      error: {
        message: 'Out of capacity',
        error_type: 'rate_limit_exceeded',
        http_status: 429,
        availability: {
          code: 'capacity_exhausted',
          retryable: true,
          retry_after: 1.5,
          fallback_models: ['openai/gpt-6-mini'],
        },
      },
    },
    expected: {
      kind: 'upstreamRateLimit',
      scope: 'model',
      retryAfterMs: 1_500,
      fallbackModels: ['openai/gpt-6-mini'],
    },
  },
  {
    name: '429 insufficient_quota, which is money with OpenAI',
    status: 429,
    body: {
      error: { message: 'You exceeded your current quota', type: 'insufficient_quota', code: null },
    },
    expected: { kind: 'credits', scope: 'account' },
  },
  {
    name: '429 as a page of the edge',
    status: 429,
    body: '<!DOCTYPE html><html><title>Access denied | 1015</title>You are being rate limited</html>',
    expected: { kind: 'edgeRateLimit', scope: 'platform', message: 'HTTP 429' },
  },
  {
    name: '1015 in plain text, of another status',
    status: 503,
    body: 'error code: 1015',
    expected: { kind: 'edgeRateLimit', scope: 'platform' },
  },
  {
    name: '403 as a page of the edge',
    status: 403,
    body: '<html>Attention Required!</html>',
    expected: { kind: 'edgeRateLimit', scope: 'platform' },
  },
  // 5xx
  ...[500, 502, 503, 529].map((status) => ({
    name: String(status),
    status,
    body: openRouter(status, 'Provider returned error', { provider_name: 'X' }),
    expected: { kind: 'serverError' as const, scope: 'model' as const, status },
  })),
  {
    name: '503 with Retry-After',
    status: 503,
    headers: { 'retry-after': '3' },
    body: openRouter(503, 'Overloaded', { error_type: 'provider_overloaded' }),
    expected: { kind: 'serverError', retryAfterMs: 3_000 },
  },
  {
    name: '502 as a page of the edge',
    status: 502,
    body: '<html>Bad gateway, no model here</html>',
    expected: { kind: 'serverError', message: 'HTTP 502' },
  },
  // 200 with an error
  {
    name: '200 that is a 429 of the provider',
    status: 200,
    body: openRouter(429, 'Provider returned error', { provider_name: 'X', raw: '…' }),
    expected: { kind: 'upstreamRateLimit', status: 429 },
  },
  {
    name: '200 that is a 402',
    status: 200,
    body: openRouter(402, 'Insufficient credits', { limit_source: 'openrouter_credits' }),
    expected: { kind: 'credits', status: 402 },
  },
  {
    name: '200 with an error that is named alone',
    status: 200,
    body: { error: { message: 'Too long', metadata: { error_type: 'context_length_exceeded' } } },
    expected: { kind: 'contextLength' },
  },
  {
    name: '200 with an error nobody knows',
    status: 200,
    body: { error: 'something' },
    expected: { kind: 'serverError', message: 'something' },
  },
  {
    name: 'an error in the middle of a stream, whatever it is',
    status: 200,
    hadBegun: true,
    body: openRouter(429, 'Provider returned error', { provider_name: 'X' }),
    expected: { kind: 'brokenAnswer', scope: 'model', hadBegun: true },
  },
  {
    name: 'a moderation in the middle of a stream, which the next one would meet again',
    status: 200,
    hadBegun: true,
    body: openRouter(403, 'Flagged', { reasons: ['violence'] }),
    expected: { kind: 'moderation', scope: 'request', hadBegun: true },
  },
  // What nobody knows
  { name: 'a redirect', status: 302, body: '', expected: { kind: 'serverError' } },
  { name: '418', status: 418, body: { teapot: true }, expected: { kind: 'invalidRequest' } },
  { name: '599 of nothing', status: 599, body: undefined, expected: { kind: 'serverError' } },
  {
    name: 'a list',
    status: 500,
    body: [{ error: { code: 500 } }],
    expected: { kind: 'serverError' },
  },
  {
    name: 'fields of the wrong kind',
    status: 429,
    headers: { 'retry-after': 'soon', 'x-ratelimit-reset': 'never' },
    body: { error: { code: {}, message: 7, metadata: 'x', availability: [] } },
    expected: { kind: 'platformRateLimit', retryAfterMs: null, resetsAt: null, fallbackModels: [] },
  },
  {
    name: 'a wait beyond all reason',
    status: 503,
    headers: { 'retry-after': '99999999999' },
    body: openRouter(503, 'Later'),
    expected: { kind: 'serverError', retryAfterMs: 32 * 24 * 3_600_000 },
  },
  {
    name: 'a date that is over',
    status: 503,
    headers: { 'retry-after': 'Sat, 21 Nov 2026 11:00:00 GMT' },
    body: openRouter(503, 'Later'),
    expected: { kind: 'serverError', retryAfterMs: 0 },
  },
];

test.each(rows)('$name', ({ status, headers = {}, body, model, hadBegun = false, expected }) => {
  const failure = classify(
    { is: 'said', status, header: (name) => headers[name] ?? null, body, hadBegun },
    { ...place, model: model ?? place.model },
  );
  expect(failure).toMatchObject({ ...expected, scope: failureKinds[expected.kind] });
  expect(failure.message.length).toBeGreaterThan(0);
  expect(failure.message.length).toBeLessThanOrEqual(300);
});

const without: { name: string; sign: AttemptSign; expected: Partial<LlmFailure> }[] = [
  {
    name: 'no connection',
    sign: { is: 'notConnected', code: 'ECONNREFUSED' },
    expected: { kind: 'unreachable', scope: 'platform', status: null, vendorCode: 'ECONNREFUSED' },
  },
  {
    name: 'a connection that ended without an answer',
    sign: { is: 'cut', code: 'ECONNRESET', hasHead: false, hadBegun: false },
    expected: { kind: 'serverError', scope: 'model', status: null },
  },
  {
    name: 'a connection that ended in an answer',
    sign: { is: 'cut', code: 'UND_ERR_SOCKET', hasHead: true, hadBegun: true },
    expected: { kind: 'brokenAnswer', scope: 'model', hadBegun: true },
  },
  {
    name: 'no answer in time',
    sign: { is: 'late', limit: 'whole', hadBegun: false },
    expected: { kind: 'timeout', scope: 'model' },
  },
  {
    name: 'no first token',
    sign: { is: 'late', limit: 'firstToken', hadBegun: false },
    expected: { kind: 'firstTokenTimeout', scope: 'model' },
  },
  {
    name: 'silence in the middle',
    sign: { is: 'late', limit: 'idle', hadBegun: true },
    expected: { kind: 'brokenAnswer', scope: 'model', hadBegun: true },
  },
  {
    name: 'whoever asked is gone',
    sign: { is: 'late', limit: 'cancelled', hadBegun: false },
    expected: { kind: 'cancelled', scope: 'none' },
  },
  {
    name: 'nothing said',
    sign: { is: 'empty' },
    expected: { kind: 'emptyAnswer', scope: 'model' },
  },
  { name: 'a refusal', sign: { is: 'refused' }, expected: { kind: 'refused', scope: 'request' } },
];

test.each(without)('$name', ({ sign, expected }) => {
  expect(classify(sign, place)).toMatchObject(expected);
});

function messageOf(message: string, code = 400): string {
  return classify(
    {
      is: 'said',
      status: code,
      header: () => null,
      body: openRouter(code, message),
      hadBegun: false,
    },
    place,
  ).message;
}

test('says nothing of the key, of what looks like one, nor of people', () => {
  const said = messageOf(
    `key ${apiKey} and sk-or-v1-0123456789abcdef0123, Bearer abcdefghijklmnop, mail ada@example.com`,
  );
  expect(said).not.toMatch(/4f1c0d9ab2e8|0123456789abcdef|abcdefghijklmnop|ada@example/);
  // A key that the cut goes through.
  expect(messageOf(`${'x '.repeat(140)}${apiKey}`)).not.toContain('4f1c0d');
});

test('what it quotes of a long prompt is found in no time', () => {
  const long = randomBytes(10_000_000).toString('hex');
  const body = { error: { code: 400, message: long.slice(-560) } };
  const before = process.cpuUsage();
  const { message } = classify(
    { is: 'said', status: 400, header: () => null, body, hadBegun: false },
    { ...place, unspeakable: { apiKey, prompt: [long] } },
  );
  expect(message).toBe('[…]');
  // Nobody else in the process is served meanwhile: looking anew at each letter takes seconds.
  expect(process.cpuUsage(before).user).toBeLessThan(1_000_000);
});

test('says nothing of the prompt that the vendor quotes', () => {
  expect(messageOf(`Invalid value: '${prompt}' is not allowed`)).toBe(
    "Invalid value: '[…]' is not allowed",
  );
  expect(messageOf(`Invalid value: '${prompt.slice(4, 50)}…'`)).toBe("Invalid value: '[…]…'");
  expect(messageOf('Invalid value for temperature')).toBe('Invalid value for temperature');
});
