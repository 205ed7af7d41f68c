import { z } from 'zod';
import { ContentGeneration as GenerationShape, GenerateContent } from '../../domain/content/schema';
import type { ContentFailure } from '../../domain/content/types';
import { AppError, invalidField } from '../../domain/errors';
import type { ContentGeneration } from '../../models/content/ContentGeneration';
import {
  endGeneration,
  generationsOf,
  generationSorts,
  planGeneration,
  requireGeneration,
} from '../../models/content/generations';
import { json } from '../bodies';
import { listPage, listQuery } from '../lists';
import { basePath, reply, route } from '../route';

const tags = ['content'];

const generate = route({
  method: 'post',
  path: '/content/generate',
  name: 'generateContent',
  summary: 'Have a language model write subject lines and texts for a campaign',
  description:
    'Answers with the result when it comes within 20 seconds, else 202 with where to look for it. Every variant is looked at: placeholders of the brief are kept, lengths fit the channel, no HTML; what is wrong goes back to the model, at most twice.',
  tags,
  permission: 'content:write',
  body: json(GenerateContent),
  idempotent: true,
  answers: { 201: GenerationShape, 202: GenerationShape },
  problems: ['llmBudgetSpent', 'llmFailed', 'llmUnavailable', 'workflowsUnavailable'],
  async handler(request) {
    const { body, deps, inTenant, tenantId, userId, requestId, idempotentId } = request;
    const { campaignId = null, model = null, tone = null, ...brief } = body;
    const key = { tenantId, id: idempotentId() };
    const asked = { ...brief, tone, campaignId, model, createdBy: userId };
    const generation = await inTenant((trx) => planGeneration(trx, key, asked));
    if (generation.state === 'planned') {
      try {
        await deps.contentGenerations.generate(generation);
      } catch (error) {
        deps.logger.warn({ requestId, err: error }, 'generation not started');
        // Nobody would start it later. If it was started after all, it ends as it finds it.
        await inTenant((trx) => endGeneration(trx, key, { reason: 'notStarted' }));
      }
    }
    return answer(await inTenant((trx) => requireGeneration(trx, key)));
  },
});

const list = route({
  method: 'get',
  path: '/content/generations',
  name: 'listContentGenerations',
  summary: 'List what language models were asked to write',
  tags,
  permission: 'content:read',
  query: listQuery({
    item: GenerationShape,
    sorts: generationSorts,
    defaultSort: '-createdAt',
    filters: {
      campaignId: z.uuid().optional(),
      state: GenerationShape.shape.state.optional(),
    },
  }),
  answers: { 200: z.array(GenerationShape) },
  async handler({ query, inTenant, tenantId }) {
    const { campaignId, state } = query;
    const filter = { campaignId, state: state === 'pending' ? ('planned' as const) : state };
    const { data, meta } = await inTenant((trx) =>
      listPage(generationsOf(trx, tenantId, filter), {
        list: query,
        sorts: generationSorts,
        present,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = route({
  method: 'get',
  path: '/content/generations/:id',
  name: 'getContentGeneration',
  summary: 'What a language model wrote, what was asked and what it cost',
  tags,
  permission: 'content:read',
  params: { id: 'contentGeneration' },
  answers: { 200: GenerationShape },
  async handler({ params: { id }, inTenant, tenantId }) {
    return reply(200, present(await inTenant((trx) => requireGeneration(trx, { tenantId, id }))));
  },
});

export const contentRoutes = [generate, list, get];

function answer(generation: ContentGeneration) {
  const headers = { Location: `${basePath}/content/generations/${generation.id}` };
  switch (generation.state) {
    case 'done':
      return reply(201, present(generation), { headers });
    case 'planned':
      return reply(202, present(generation), { headers });
    case 'failed':
      throw problemOf(generation.reason ?? 'llmFailed');
  }
}

function problemOf(reason: ContentFailure): AppError {
  switch (reason) {
    case 'llmBudgetSpent':
      return new AppError(
        'planLimit',
        'llmBudgetSpent',
        'What may be spent on language models is spent: raise the budget, or wait until it begins anew.',
      );
    case 'refused':
      return invalidField('goal', 'refused', 'The model will not write this, or cannot read it.');
    case 'modelNotUsable':
      return invalidField(
        'model',
        'modelNotUsable',
        'This model cannot be asked, or there is no default to ask: name another one.',
      );
    case 'notUsable':
      return new AppError(
        'providerFailed',
        'llmFailed',
        'The model wrote nothing that could be sent, also when told what was wrong.',
      );
    case 'llmFailed':
      return new AppError('providerFailed', 'llmFailed', 'No model answered.');
    case 'llmUnavailable':
    case 'notEnded':
      return new AppError(
        'unavailable',
        'llmUnavailable',
        'No key for language models could serve. Ask again later.',
        { retryAfterSeconds: 60 },
      );
    case 'notStarted':
    case 'cancelled':
      return new AppError(
        'unavailable',
        'workflowsUnavailable',
        'It could not be begun now and will not be: ask again.',
        { retryAfterSeconds: 5 },
      );
  }
}

function present(generation: ContentGeneration): z.output<typeof GenerationShape> {
  const { id, reason, goal, facts, tone, language, channel, count, campaignId } = generation;
  return {
    id,
    state: generation.state === 'planned' ? 'pending' : generation.state,
    reason,
    waitsUntil: generation.waitsUntil?.toISOString() ?? null,
    goal,
    facts,
    tone,
    language,
    channel,
    count,
    campaignId,
    variants: generation.variants.map((variant) => ({
      ...variant,
      warnings: [...variant.warnings],
    })),
    model: generation.model,
    callIds: generation.callIds,
    costMicros: generation.costMicros,
    createdAt: generation.createdAt.toISOString(),
    endedAt: generation.endedAt?.toISOString() ?? null,
  };
}
