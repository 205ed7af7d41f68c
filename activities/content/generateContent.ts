import { Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { checkVariants } from '../../domain/content/checks';
import {
  answerSchemaFor,
  maxTokensFor,
  promptFor,
  promptForRepair,
} from '../../domain/content/prompt';
import type { ContentFailure, ContentVariant, WrittenVariant } from '../../domain/content/types';
import { AppError } from '../../domain/errors';
import type { LlmGateway } from '../../gateway/types';
import { withTenant } from '../../models/base';
import type { ContentGeneration } from '../../models/content/ContentGeneration';
import {
  endGeneration,
  postponeGeneration,
  requireGeneration,
  type ContentCost,
} from '../../models/content/generations';
import type { ActivityDeps } from '../deps';
import { outlastOutage } from '../messages/outlastOutage';

export interface GenerationRef {
  tenantId: string;
  generationId: string;
}

/** How it stands: counts and names of ours, no text. */
export interface GenerationResult {
  state: ContentGeneration['state'];
  reason: ContentFailure | null;
  variants: number;
  model: string | null;
  costMicros: number;
}

// A model is told what was wrong with its answer so often.
const mostRepairs = 2;
const callMs = 90_000;
const heartbeatMs = 3_000;
// Where nobody says when a key may serve again.
const usualWaitMs = 15_000;

/** Asks a model for variants until they are fit to be sent, and writes down what came of it. */
export function createGenerateContent(deps: Pick<ActivityDeps, 'db' | 'llm'>) {
  return async function generateContent(ref: GenerationRef): Promise<GenerationResult> {
    // Another attempt finds what the first one wrote, and only what is still planned is worked on.
    // One that died in a call makes that call again: it is in the ledger of calls each time.
    const { tenantId, generationId: id } = ref;
    const { cancellationSignal } = Context.current();
    const generation = await withTenant(deps.db, tenantId, (trx) =>
      requireGeneration(trx, { tenantId, id }),
    );
    if (generation.state !== 'planned') {
      return resultOf(generation);
    }
    const beat = setInterval(() => heartbeat(), heartbeatMs);
    try {
      const work = await write(deps.llm.gateway, generation, cancellationSignal);
      await outlastOutage(cancellationSignal, () =>
        withTenant(deps.db, tenantId, (trx) =>
          'waitMs' in work
            ? postponeGeneration(trx, { tenantId, id }, inMs(work.waitMs), work.cost)
            : endGeneration(trx, { tenantId, id }, work.end, work.cost),
        ),
      );
      if ('waitMs' in work) {
        throw later(work.waitMs);
      }
    } finally {
      clearInterval(beat);
    }
    return withTenant(deps.db, tenantId, async (trx) =>
      resultOf(await requireGeneration(trx, { tenantId, id })),
    );
  };
}

/** Ends a generation that its workflow gave up. */
export function createFailContent({ db }: Pick<ActivityDeps, 'db'>) {
  return function failContent({
    tenantId,
    generationId: id,
    reason,
  }: GenerationRef & { reason: ContentFailure }): Promise<GenerationResult> {
    // What has ended stays as it is, so that twice is like once.
    return withTenant(db, tenantId, async (trx) => {
      await endGeneration(trx, { tenantId, id }, { reason });
      return resultOf(await requireGeneration(trx, { tenantId, id }));
    });
  };
}

type Work = { readonly cost: ContentCost } & (
  | { readonly end: { variants: readonly ContentVariant[] } | { reason: ContentFailure } }
  | { readonly waitMs: number }
);

async function write(
  gateway: LlmGateway,
  generation: ContentGeneration,
  signal: AbortSignal,
): Promise<Work> {
  let messages = promptFor(generation);
  let cost: ContentCost = { callIds: [], costMicros: 0, model: null };
  for (let repairs = 0; ; repairs += 1) {
    const answer = await ask(gateway, generation, { messages, signal });
    if (!('callId' in answer)) {
      return { ...answer, cost };
    }
    cost = {
      callIds: [...cost.callIds, answer.callId],
      costMicros: cost.costMicros + answer.costMicros,
      model: answer.model,
    };
    const { usable, faults } = checkVariants(generation, writtenIn(answer.json));
    if (faults.length === 0 || (repairs === mostRepairs && usable.length > 0)) {
      return { end: { variants: usable }, cost };
    }
    if (repairs === mostRepairs) {
      return { end: { reason: 'notUsable' }, cost };
    }
    messages = promptForRepair(promptFor(generation), answer.text, faults);
  }
}

async function ask(
  gateway: LlmGateway,
  generation: ContentGeneration,
  { messages, signal }: { messages: ReturnType<typeof promptFor>; signal: AbortSignal },
) {
  const { tenantId, createdBy, askedModel } = generation;
  const { workflowExecution } = Context.current().info;
  try {
    return await gateway.chat(
      {
        asker: {
          tenantId,
          userId: createdBy,
          feature: 'content',
          workflowId: workflowExecution?.workflowId ?? null,
        },
        model: askedModel,
        fallbackModels: null,
        messages,
        temperature: null,
        maxTokens: maxTokensFor(generation),
        tools: [],
        schema: answerSchemaFor(generation),
        // Somebody waits for it.
        priority: 'interactive',
        conversation: null,
        consumer: 'buffered',
        deadlineMs: callMs,
        firstTokenMs: null,
      },
      { signal },
    );
  } catch (error) {
    if (signal.aborted || !(error instanceof AppError)) {
      throw error;
    }
    return failureOf(error, Context.current().info.attempt);
  }
}

// What no model did may be done in a moment; how often that is tried is not for ever.
const mostFailures = 4;
// Of these, another time brings no more.
const lasting = new Set<unknown>([
  'schemaMismatch',
  'modelUnavailable',
  'notPermitted',
  'exceedsBalance',
  'tokenLimit',
]);

/** What a refusal of the gateway means here: the end, or another time. */
function failureOf(
  error: AppError,
  attempt: number,
): { end: { reason: ContentFailure } } | { waitMs: number } {
  const wait = { waitMs: (error.retryAfterSeconds ?? usualWaitMs / 1_000) * 1_000 };
  if (error.kind === 'planLimit') {
    return { end: { reason: 'llmBudgetSpent' } };
  }
  if (error.kind === 'invalid') {
    const isModel = error.problems.some(({ path }) => path === 'model');
    return { end: { reason: isModel ? 'modelNotUsable' : 'refused' } };
  }
  if (['unavailable', 'rateLimited', 'tooSlow'].includes(error.kind)) {
    return wait;
  }
  const isLasting = lasting.has(error.details['code']) || attempt >= mostFailures;
  return isLasting ? { end: { reason: 'llmFailed' } } : wait;
}

function later(waitMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    message: 'no key for language models can serve at this moment',
    type: 'LlmUnavailable',
    nextRetryDelay: waitMs,
    // Nothing is wrong: it waits.
    category: 'BENIGN',
  });
}

const Written = z.object({
  variants: z.array(z.object({ subject: z.string().optional(), body: z.string() })),
});

// The gateway has checked it against the schema; models add spaces around what they write.
function writtenIn(json: unknown): WrittenVariant[] {
  return Written.parse(json).variants.map(({ subject, body }) => ({
    subject: subject?.trim() ?? null,
    body: body.trim(),
  }));
}

function resultOf(generation: ContentGeneration): GenerationResult {
  const { state, reason, variants, model, costMicros } = generation;
  return { state, reason, variants: variants.length, model, costMicros };
}

function inMs(ms: number): Date {
  return new Date(Date.now() + ms);
}
