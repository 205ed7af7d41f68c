import { LlmAttemptError } from '../../../domain/llm/failures';
import { createLlmProviders } from '../../../providers/llm';
import {
  answerJson,
  beginStream,
  chatCall,
  chunk,
  collect,
  event,
  limits,
  openVendor,
  reply,
  usage,
  usageSeen,
  type Vendor,
} from './support';

// What an answer is billed by, whoever answers: a tenant names the address, so it may say anything.

const providers = createLlmProviders({ onlyPublic: false });
const provider = providers.openrouter;
let vendor: Vendor;

beforeAll(async () => {
  vendor = await openVendor();
});

afterAll(async () => {
  await vendor.close();
  await Promise.all(Object.values(providers).map((each) => each.close()));
});

const chat = () => provider.chat(chatCall(), vendor.credentials, limits());
const stream = (signal?: AbortSignal) =>
  provider.stream(chatCall(), vendor.credentials, limits(signal === undefined ? {} : { signal }));

async function failed(call: Promise<unknown>): Promise<LlmAttemptError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LlmAttemptError)) {
    throw new Error(`not a failed attempt: ${String(error)}`);
  }
  return error;
}

test.each([-0.04, -1e-6, 1e300, 'NaN'])('a cost of %s is not told', async (cost) => {
  vendor.answers((response) =>
    answerJson(response, reply({ content: 'Hello' }, 'stop', { usage: { ...usage, cost } })),
  );
  expect((await chat()).usage).toEqual({ ...usageSeen, costMicros: null });
});

test('what an answer cost that broke off is no less than nothing', async () => {
  vendor.answers((response) => answerJson(response, { data: { total_cost: -1 } }));
  await expect(provider.generationCost('gen-1', vendor.credentials, limits())).resolves.toBeNull();
});

test('tokens that no model reads or writes are not told', async () => {
  const told = { prompt_tokens: 9e15, completion_tokens: 4e9, total_tokens: 1 };
  vendor.answers((response) =>
    answerJson(response, reply({ content: 'Hello' }, 'stop', { usage: told })),
  );
  expect((await chat()).usage).toMatchObject({ promptTokens: 0, completionTokens: 0 });
});

test.each([`x${'y'.repeat(300)}`, 'model\u0000', 'a model', 5])(
  'names that nobody would give are none: %s',
  async (name) => {
    vendor.answers((response) =>
      answerJson(response, reply({ content: 'Hello' }, 'stop', { id: name, model: name })),
    );
    expect(await chat()).toMatchObject({ model: 'vendor/model', generationId: null });
    vendor.answers((response) =>
      answerJson(response, { id: name, model: name, data: [{ embedding: [1] }] }),
    );
    const inputs = { model: 'vendor/model', inputs: ['a'], dimensions: null };
    expect(await provider.embed(inputs, vendor.credentials, limits())).toMatchObject({
      model: 'vendor/model',
      generationId: null,
    });
  },
);

test('pictures tell their tokens by other names', async () => {
  vendor.answers((response) =>
    answerJson(response, {
      data: [{ b64_json: 'AAAA' }],
      usage: {
        input_tokens: 20,
        output_tokens: 4_160,
        input_tokens_details: { cached_tokens: 3 },
      },
    }),
  );
  const pictures = await providers.openai.image(
    { model: 'vendor/pictures', prompt: 'A lamp', n: 1, size: null },
    vendor.credentials,
    limits(),
  );
  expect(pictures.usage).toEqual({
    promptTokens: 20,
    completionTokens: 4_160,
    cachedTokens: 3,
    reasoningTokens: 0,
    costMicros: null,
  });
});

describe('what had come of an answer that failed', () => {
  test.each(['reasoning', 'reasoning_content'])('is its thoughts, told as %s', async (field) => {
    const controller = new AbortController();
    vendor.answers((response) => {
      beginStream(response);
      const thought = event(chunk({ [field]: 'Lamps glow. '.repeat(35) }));
      response.write(thought + event(chunk({ content: 'a' })));
    });
    const pieces = stream(controller.signal)[Symbol.asyncIterator]();
    // Nothing of it is shown until its first text.
    await pieces.next();
    controller.abort();
    expect(await failed(pieces.next())).toMatchObject({
      generationId: 'gen-1',
      failure: { kind: 'cancelled' },
      begun: { usage: null, writtenTokens: Math.ceil((12 * 35 + 1) / 3.5) },
    });
  });

  test('is counted once where thoughts are told in two shapes', async () => {
    const text = 'x'.repeat(350);
    vendor.answers((response) => {
      beginStream(response);
      const delta = { reasoning: text, reasoning_details: [{ type: 'reasoning.text', text }] };
      response.write(event(chunk(delta)), () => response.destroy());
    });
    expect(await failed(collect(stream()))).toMatchObject({ begun: { writtenTokens: 100 } });
  });

  test('is a head, of a whole answer that is cut off behind it', async () => {
    vendor.answers((response) => {
      response.writeHead(200, { 'Content-Type': 'application/json', 'x-generation-id': 'gen-7' });
      response.write('{"id": "gen-7", ', () => response.destroy());
    });
    expect(await failed(chat())).toMatchObject({
      generationId: 'gen-7',
      failure: { kind: 'brokenAnswer' },
      begun: { usage: null },
    });
  });

  test.each([
    ['says nothing', {}, 'stop', 'emptyAnswer'],
    ['is refused', { refusal: 'No.' }, 'stop', 'refused'],
    ['is filtered', {}, 'content_filter', 'refused'],
  ])('is its usage where it %s', async (_, message, finish, kind) => {
    vendor.answers((response) => answerJson(response, reply({ content: '', ...message }, finish)));
    expect(await failed(chat())).toMatchObject({
      failure: { kind },
      begun: { usage: usageSeen },
    });
    vendor.answers((response) => {
      beginStream(response);
      response.end(event(chunk(message, finish, { usage })) + event('[DONE]'));
    });
    expect(await failed(collect(stream()))).toMatchObject({
      failure: { kind },
      begun: { usage: usageSeen },
    });
  });

  test('is nothing where the vendor refused it', async () => {
    vendor.answers((response) =>
      answerJson(response, { error: { code: 503, message: 'Overloaded' } }, 503),
    );
    expect(await failed(chat())).toMatchObject({ begun: null });
    vendor.answers((response) => {
      beginStream(response);
      response.end(event({ id: 'gen-1', error: { code: 502, message: 'Gone' } }));
    });
    expect(await failed(collect(stream()))).toMatchObject({ begun: null });
  });
});
