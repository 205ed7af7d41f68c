import { invalidField } from '../domain/errors';
import { tokensOfText } from '../domain/llm/estimate';
import { attempt, type Got } from './attempts';
import { modelsFor, mostCost, type AskSize } from './models';
import { Run } from './Run';
import type { Answered, Place, RunAsk, RunDeps, Shape } from './runTypes';
import type { LlmGateway } from './types';

type EmbedAsk = Parameters<LlmGateway['embed']>[0];
type ImageAsk = Parameters<LlmGateway['image']>[0];

function fixed(size: AskSize): Shape {
  return {
    canTrim: () => false,
    canLowerTokens: () => false,
    change: () => undefined,
    size: () => size,
  };
}

/** Texts as vectors. No other model takes a model's place: their vectors do not compare. */
export async function embed(
  deps: RunDeps,
  ask: EmbedAsk,
  signal: AbortSignal | undefined,
): ReturnType<LlmGateway['embed']> {
  const { inputs, dimensions } = ask;
  if (inputs.length === 0) {
    throw invalidField('inputs', 'required', 'There must be a text.');
  }
  const models = modelsFor(deps.catalogue, {
    tenantId: ask.asker.tenantId,
    model: ask.model,
    fallbacks: [],
  });
  const size = {
    promptTokens: inputs.reduce((tokens, text) => tokens + tokensOfText(text), 0),
    completionTokens: 0,
    images: 0,
  };
  const { run, answer } = await carryOut(
    deps,
    {
      ...wholeAsk(ask, signal),
      kind: 'embedding',
      models,
      estimateMicros: mostCost(deps.catalogue, models, size),
      shape: fixed(size),
      field: 'inputs',
    },
    ({ provider, model, key, options }) =>
      provider.embed({ model, inputs, dimensions }, key.credentials, options),
  );
  const { callId, costMicros } = run;
  return { callId, vectors: answer.vectors, model: answer.model, costMicros };
}

/** Pictures of a text. */
export async function image(
  deps: RunDeps,
  ask: ImageAsk,
  signal: AbortSignal | undefined,
): ReturnType<LlmGateway['image']> {
  const { prompt, n, size } = ask;
  const models = modelsFor(deps.catalogue, {
    tenantId: ask.asker.tenantId,
    model: ask.model,
    fallbacks: null,
  });
  const asked = { promptTokens: tokensOfText(prompt), completionTokens: 0, images: n };
  const { run, answer } = await carryOut(
    deps,
    {
      ...wholeAsk(ask, signal),
      kind: 'image',
      models,
      estimateMicros: mostCost(deps.catalogue, models, asked),
      shape: fixed(asked),
      field: 'prompt',
    },
    ({ provider, model, key, options }) =>
      provider.image({ model, prompt, n, size }, key.credentials, options),
  );
  const { callId, costMicros } = run;
  return { callId, images: answer.images, model: answer.model, costMicros };
}

function wholeAsk(
  { asker, priority, deadlineMs }: Pick<EmbedAsk, 'asker' | 'priority' | 'deadlineMs'>,
  signal: AbortSignal | undefined,
) {
  return {
    asker,
    priority,
    deadlineMs,
    conversation: null,
    firstTokenMs: null,
    isStreamed: false,
    signal,
  };
}

async function carryOut<T extends Answered>(
  deps: RunDeps,
  ask: RunAsk,
  call: (place: Place) => Promise<T>,
): Promise<{ run: Run; answer: T }> {
  const run = await Run.open(deps, ask);
  const work = { call, tokensOf: () => 0 };
  try {
    let got: Got<T> | null = null;
    while (got === null) {
      got = await attempt(run, await run.place(), work);
    }
    run.succeeded(got.place, got.answer.model);
    return { run, answer: got.answer };
  } catch (error) {
    throw run.failedWith(error);
  }
}
