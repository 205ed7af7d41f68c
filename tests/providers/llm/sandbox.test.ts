import type { FailureKind } from '../../../domain/llm/failures';
import { createLlmProviders } from '../../../providers/llm';
import { OPENROUTER_PATH, type OpenRouterFault, type Sandbox } from '../../../sandbox';
import { callsOf, model, secretOf, setFaults } from '../../sandbox/openrouter/support';
import { closeAll, openSandbox } from '../../sandbox/support';
import { chatCall, collect, failureOf, limits } from './support';

const { openrouter, openai } = createLlmProviders({ onlyPublic: false });
let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await openSandbox();
});

beforeEach(() => setFaults(sandbox));

afterAll(async () => {
  await closeAll();
  await openrouter.close();
  await openai.close();
});

function credentials(apiKey = secretOf('north-1')) {
  return { baseUrl: `${sandbox.url}${OPENROUTER_PATH}`, apiKey };
}

const ask = (more = {}, options = {}) =>
  openrouter.chat(chatCall({ model, ...more }), credentials(), limits(options));
const askStream = (more = {}, options = {}) =>
  collect(openrouter.stream(chatCall({ model, ...more }), credentials(), limits(options)));

type Fault = NonNullable<OpenRouterFault['fault']>;

// Each row of what OpenRouter can answer in place of an answer.
const refusals: [Fault, FailureKind][] = [
  ['invalidRequest', 'invalidRequest'],
  ['invalidPrompt', 'invalidRequest'],
  ['stringTooLong', 'invalidRequest'],
  ['invalidImage', 'invalidRequest'],
  ['imageTooLarge', 'invalidRequest'],
  ['imageNotFound', 'invalidRequest'],
  ['contextLengthExceeded', 'contextLength'],
  ['tokenLimitExceeded', 'tokenLimit'],
  ['contentPolicy', 'refused'],
  ['refusal', 'refused'],
  ['preconditionFailed', 'invalidRequest'],
  ['payloadTooLarge', 'invalidRequest'],
  ['unprocessable', 'invalidRequest'],
  ['unauthorized', 'authentication'],
  ['outOfCredits', 'credits'],
  ['keyLimit', 'keyLimit'],
  ['inFlightBudget', 'inFlightBudget'],
  ['weightExceedsBudget', 'exceedsBalance'],
  ['moderation', 'moderation'],
  ['guardrail', 'moderation'],
  ['guardrailBudget', 'budgetSpent'],
  ['workspaceBudget', 'budgetSpent'],
  ['keyBudget', 'budgetSpent'],
  ['regionRestricted', 'notPermitted'],
  ['permissionDenied', 'notPermitted'],
  ['noEndpoints', 'modelUnavailable'],
  ['modelDeprecated', 'modelUnavailable'],
  ['privacyConstraint', 'modelUnavailable'],
  ['parameterConstraint', 'modelUnavailable'],
  ['requestTimeout', 'timeout'],
  ['gatewayTimeout', 'timeout'],
  ['edgeTimeout', 'timeout'],
  ['platformRateLimit', 'platformRateLimit'],
  ['freeRateLimit', 'platformRateLimit'],
  ['upstreamRateLimit', 'upstreamRateLimit'],
  ['capacityExhausted', 'upstreamRateLimit'],
  ['edgeRateLimit', 'edgeRateLimit'],
  ['edgeBan', 'edgeRateLimit'],
  ['serverError', 'serverError'],
  ['badGateway', 'serverError'],
  ['unavailable', 'serverError'],
  ['overloaded', 'serverError'],
  ['connectionReset', 'serverError'],
];

describe.each([
  ['whole', ask],
  ['streamed', askStream],
])('of a %s answer', (_, call) => {
  test.each(refusals)('%s is %s', async (fault, kind) => {
    await setFaults(sandbox, { fault });
    await expect(failureOf(call())).resolves.toMatchObject({ kind, hadBegun: false });
  });

  test('one that never comes is missed', async () => {
    await setFaults(sandbox, { fault: 'hang' });
    await expect(failureOf(call({}, { firstTokenMs: 100 }))).resolves.toMatchObject({
      kind: 'firstTokenTimeout',
    });
  });

  test('what a limit says of its end is kept', async () => {
    await setFaults(sandbox, { fault: 'platformRateLimit', retryAfterSeconds: 30 });
    const before = Date.now();
    const failure = await failureOf(call());
    expect(failure.retryAfterMs).toBe(30_000);
    expect(failure.resetsAt).toBeGreaterThanOrEqual(before + 29_000);
    expect(failure.resetsAt).toBeLessThanOrEqual(Date.now() + 31_000);
  });
});

test.each([
  [{ fault: 'errorInBody', code: 429 }, 'upstreamRateLimit'],
  [{ fault: 'errorInBody', code: 502 }, 'serverError'],
  [{ fault: 'errorFinish' }, 'serverError'],
  [{ fault: 'emptyContent' }, 'emptyAnswer'],
] as const)('a whole answer that is none: %p', async (rule, kind) => {
  await setFaults(sandbox, { ...rule });
  await expect(failureOf(ask())).resolves.toMatchObject({ kind });
});

test.each([
  ['cutBeforeFirstChunk', 'brokenAnswer', false],
  ['midStreamError', 'brokenAnswer', true],
  ['midStreamSilence', 'brokenAnswer', true],
  ['midStreamCut', 'brokenAnswer', true],
  ['noDone', 'brokenAnswer', true],
  ['emptyContent', 'emptyAnswer', false],
] as const)('a stream that breaks off: %s', async (fault, kind, hadBegun) => {
  await setFaults(sandbox, { fault, afterChunks: 2 });
  await expect(failureOf(askStream({}, { idleMs: 300 }))).resolves.toMatchObject({
    kind,
    hadBegun,
  });
});

test('a first token that comes too late', async () => {
  await setFaults(sandbox, { fault: 'firstTokenLate' });
  await expect(failureOf(askStream({}, { firstTokenMs: 100 }))).resolves.toMatchObject({
    kind: 'firstTokenTimeout',
    hadBegun: false,
  });
});

test('answers whole and in pieces, with what they cost', async () => {
  const whole = await ask();
  expect(whole.text).not.toBe('');
  expect(whole.usage.costMicros).toBeGreaterThan(0);
  const pieces = await askStream();
  const end = pieces.at(-1);
  expect(end).toMatchObject({ type: 'end', reply: { finishReason: 'stop' } });
  expect(
    pieces
      .slice(0, -1)
      .map((piece) => (piece.type === 'text' ? piece.text : ''))
      .join(''),
  ).toBe(end?.type === 'end' ? end.reply.text : null);
  expect((await callsOf(sandbox)).total).toBeGreaterThanOrEqual(2);
});

test('knows later what an answer cost', async () => {
  const { generationId, usage } = await ask();
  const options = { signal: new AbortController().signal, timeoutMs: 10_000 };
  await expect(
    openrouter.generationCost(generationId ?? '', credentials(), options),
  ).resolves.toMatchObject({ costMicros: usage.costMicros });
});

test('reads keys, credits by a management key alone, and models', async () => {
  const options = { signal: new AbortController().signal, timeoutMs: 10_000 };
  await expect(openrouter.keyStatus(credentials(), options)).resolves.toMatchObject({
    isFreeTier: false,
  });
  await expect(failureOf(openrouter.credits(credentials(), options))).resolves.toMatchObject({
    kind: 'notPermitted',
  });
  await expect(
    failureOf(openrouter.keyStatus(credentials('sk-or-v1-of-nobody'), options)),
  ).resolves.toMatchObject({ kind: 'authentication' });
  const models = await openrouter.models(credentials(), options);
  expect(models.find(({ id }) => id === model)?.promptMicrosPerMillion).toBeGreaterThan(0);
});

test('embeds and makes pictures', async () => {
  const models = await openrouter.models(credentials(), limits());
  const that = (output: string) =>
    models.find(({ outputModalities }) => outputModalities.includes(output))?.id ?? '';
  const inputs = ['a bicycle', 'a boat', 'a bicycle'];
  const { vectors } = await openrouter.embed(
    { model: that('embeddings') || 'openai/text-embedding-3-small', inputs, dimensions: null },
    credentials(),
    limits(),
  );
  expect(vectors).toHaveLength(3);
  expect(vectors[0]).toEqual(vectors[2]);
  expect(vectors[0]).not.toEqual(vectors[1]);
  const { images } = await openrouter.image(
    { model: that('image'), prompt: 'a bicycle', n: 1, size: null },
    credentials(),
    limits(),
  );
  expect(images).toHaveLength(1);
});
