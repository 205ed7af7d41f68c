import type { KeyState } from './accounts';
import { tokensOf } from './answers/answer';
import type { JsonObject } from './answers/schemaValue';
import { costMicros, imageMicros, type SandboxModel } from './catalogue';
import { embed, toBase64 } from './embeddings';
import { errorTypeOf, messageOf, refusal } from './errors';
import type { Exchange } from './exchange';
import type { Fate } from './faults';
import { dollars, newGenerationId, usageBody, type Generations } from './generations';
import { drawImage } from './images';

const DIMENSIONS: Readonly<Record<string, number>> = { 'qwen/qwen3-embedding-8b': 4_096 };
const MOST_INPUTS = 2_048;
const MOST_IMAGES = 10;

interface Paid {
  exchange: Exchange;
  key: KeyState;
  model: SandboxModel;
  fate: Fate;
  generations: Generations;
}

/** POST /embeddings. */
export async function answerEmbeddings(paid: Paid, body: JsonObject): Promise<void> {
  const { exchange, model } = paid;
  const inputs = inputsOf(body.input);
  const most = DIMENSIONS[model.id] ?? 1_536;
  const dimensions = body.dimensions ?? most;
  if (!inputs) {
    exchange.refuse(refusal(400, 'input: expected text', { error_type: 'invalid_request' }));
    return;
  }
  if (!Number.isInteger(dimensions) || Number(dimensions) < 1 || Number(dimensions) > most) {
    const message = `dimensions: expected an integer from 1 to ${most}`;
    exchange.refuse(refusal(400, message, { error_type: 'invalid_request' }));
    return;
  }
  if (await breaks(paid)) {
    return;
  }
  const isBase64 = body.encoding_format === 'base64';
  const data = inputs.map((text, index) => {
    const vector = embed(text, Number(dimensions));
    return { object: 'embedding', index, embedding: isBase64 ? toBase64(vector) : vector };
  });
  const prompt = inputs.reduce((sum, text) => sum + tokensOf(text.length), 0);
  const tokens = { prompt, completion: 0, cached: 0 };
  const cost = costMicros(model, tokens);
  const id = bill(paid, tokens, cost);
  const usage = { prompt_tokens: prompt, total_tokens: prompt, cost: dollars(cost) };
  const answer = { id, object: 'list', model: model.id, provider: model.provider, data, usage };
  exchange.answer(200, answer, { 'x-generation-id': id });
}

/** POST /images. */
export async function answerImages(paid: Paid, body: JsonObject): Promise<void> {
  const { exchange, model } = paid;
  const { prompt, n = 1 } = body;
  if (typeof prompt !== 'string' || prompt === '') {
    exchange.refuse(refusal(400, 'prompt: expected text', { error_type: 'invalid_request' }));
    return;
  }
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > MOST_IMAGES) {
    const message = `n: expected an integer from 1 to ${MOST_IMAGES}`;
    exchange.refuse(refusal(400, message, { error_type: 'invalid_request' }));
    return;
  }
  if (await breaks(paid)) {
    return;
  }
  const tokens = { prompt: tokensOf(prompt.length), completion: 0, cached: 0 };
  const cost = imageMicros(model, n);
  const id = bill(paid, tokens, cost);
  const data = Array.from({ length: n }, (_, place) => ({
    b64_json: drawImage(prompt, place).toString('base64'),
    media_type: 'image/png',
  }));
  exchange.answer(
    200,
    {
      created: Math.floor(Date.now() / 1_000),
      model: model.id,
      data,
      usage: usageBody(tokens, cost),
    },
    { 'x-generation-id': id },
  );
}

// Faults of whole answers; those of streams have no meaning here.
async function breaks({ exchange, fate }: Paid): Promise<boolean> {
  const { rule, latencyMs } = fate;
  if (latencyMs > 0 && !(await exchange.wait(latencyMs))) {
    return true;
  }
  const fault = rule?.fault;
  if (fault === 'errorInBody' || fault === 'errorFinish') {
    const code = rule?.code ?? 502;
    const metadata = { error_type: errorTypeOf(code) };
    exchange.answer(200, { error: { code, message: rule?.message ?? messageOf(code), metadata } });
    return true;
  }
  if (fault === 'emptyContent') {
    exchange.answer(200, { object: 'list', data: [] });
    return true;
  }
  if (fault === 'cutBeforeFirstChunk' || fault === 'midStreamCut') {
    exchange.cut();
    return true;
  }
  if (fault === 'midStreamSilence' || fault === 'firstTokenLate') {
    exchange.hold();
    return true;
  }
  return false;
}

function bill(
  { key, exchange, model, generations }: Paid,
  tokens: { prompt: number; completion: number; cached: number },
  cost: number,
): string {
  const id = newGenerationId();
  const made = { id, model, isStream: false, isCancelled: false, finish: null };
  generations.bill(key, exchange.call, { ...made, tokens, costMicros: cost });
  return id;
}

function inputsOf(input: unknown): string[] | null {
  const list: readonly unknown[] = Array.isArray(input) ? input : [input];
  const texts = list.filter((text): text is string => typeof text === 'string' && text !== '');
  return texts.length === list.length && texts.length > 0 && texts.length <= MOST_INPUTS
    ? texts
    : null;
}
