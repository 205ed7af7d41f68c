import { LlmAttemptError } from '../../domain/llm/failures';
import type { ChatCall } from '../../domain/llm/types';
import { CompatibleEndpoint } from './compatible';
import { fail } from './exchange';
import { countOf, fieldsOf, listOf, textOf, textsIn, type Fields } from './fields';
import { microsOf, microsPerMillionOf } from './money';
import { costOf, tokensOf } from './replies';
import { chatBody, type Body } from './requests';
import type { CatalogueModel, KeyStatus, LlmProvider } from './types';
import type { Wire } from './wire';

/** https://openrouter.ai/docs/api-reference */
export function createOpenRouter(wire: Wire): LlmProvider {
  const endpoint = new CompatibleEndpoint(wire, bodyOf);
  return {
    chat: endpoint.chat,
    stream: (call, credentials, options) => endpoint.stream(call, credentials, options),
    embed: endpoint.embed,
    // Not where the client would post it: OpenRouter has no /images/generations.
    image: ({ model, prompt, n, size }, credentials, options) =>
      endpoint.image(
        '/images',
        { model, prompt, n, ...(size === null ? {} : { size }) },
        credentials,
        options,
      ),
    keyStatus: (credentials, options) =>
      endpoint.get('/key', credentials, options, ({ data }) => keyStatusOf(fieldsOf(data))),
    credits: (credentials, options) =>
      endpoint.get('/credits', credentials, options, ({ data }) => creditsOf(fieldsOf(data))),
    models: (credentials, options) =>
      endpoint.get('/models', credentials, options, ({ data }) =>
        listOf(data).flatMap((model) => modelOf(fieldsOf(model))),
      ),
    generationCost: async (id, credentials, options) => {
      const path = `/generation?id=${encodeURIComponent(id)}`;
      try {
        return await endpoint.get(path, credentials, options, ({ data }) =>
          generationOf(fieldsOf(data)),
        );
      } catch (error) {
        // It is told of some seconds after it ended.
        if (error instanceof LlmAttemptError && error.failure.status === 404) {
          return null;
        }
        throw error;
      }
    },
    close: () => wire.close(),
  };
}

function bodyOf(call: ChatCall): Body {
  return {
    ...chatBody(call, { marksCache: call.cachesPrompt && call.model.startsWith('anthropic/') }),
    max_tokens: call.maxTokens,
    // Else a provider that knows no schemas may be chosen, and the answer fits by luck.
    ...(call.schema === null ? {} : { provider: { require_parameters: true } }),
    ...(call.sessionId === null ? {} : { session_id: call.sessionId }),
  };
}

function keyStatusOf(key: Fields): KeyStatus {
  const usageMicros = microsOf(key['usage']);
  if (usageMicros === null) {
    return fail({
      is: 'unreadable',
      what: 'the status of a key without its usage',
      hadBegun: false,
    });
  }
  const expiresAt = Date.parse(textOf(key['expires_at']) ?? '');
  const reset = key['limit_reset'];
  return {
    limitMicros: microsOf(key['limit']),
    limitRemainingMicros: microsOf(key['limit_remaining']),
    limitReset: reset === 'daily' || reset === 'weekly' || reset === 'monthly' ? reset : null,
    usageMicros,
    isFreeTier: key['is_free_tier'] === true,
    expiresAt: Number.isNaN(expiresAt) ? null : expiresAt,
  };
}

function creditsOf({ total_credits: bought, total_usage: used }: Fields) {
  const [boughtMicros, usedMicros] = [microsOf(bought), microsOf(used)];
  return boughtMicros === null || usedMicros === null
    ? fail({ is: 'unreadable', what: 'credits without amounts', hadBegun: false })
    : { remainingMicros: boughtMicros - usedMicros };
}

function generationOf(generation: Fields) {
  const costMicros = costOf(generation['total_cost']);
  return costMicros === null
    ? null
    : {
        promptTokens: tokensOf(generation['tokens_prompt']),
        completionTokens: tokensOf(generation['tokens_completion']),
        cachedTokens: tokensOf(generation['native_tokens_cached']),
        reasoningTokens: tokensOf(generation['native_tokens_reasoning']),
        costMicros,
      };
}

/** None for what has no fixed price (`-1`) or no place for a prompt: the router itself, for one. */
function modelOf(model: Fields): CatalogueModel[] {
  const id = textOf(model['id']);
  const contextTokens = countOf(model['context_length']);
  const pricing = fieldsOf(model['pricing']);
  const prompt = microsPerMillionOf(pricing['prompt']);
  const completion = microsPerMillionOf(pricing['completion']);
  if (id === null || id.length > 200 || contextTokens === 0) {
    return [];
  }
  if (prompt === null || completion === null || prompt < 0 || completion < 0) {
    return [];
  }
  const architecture = fieldsOf(model['architecture']);
  return [
    {
      id,
      name: (textOf(model['name']) ?? id).slice(0, 200),
      contextTokens,
      maxOutputTokens: countOf(fieldsOf(model['top_provider'])['max_completion_tokens']) || null,
      inputModalities: textsIn(architecture['input_modalities']),
      outputModalities: textsIn(architecture['output_modalities']),
      parameters: textsIn(model['supported_parameters']),
      promptMicrosPerMillion: prompt,
      completionMicrosPerMillion: completion,
      // What is not cheaper from the cache costs the same.
      cachedMicrosPerMillion: microsPerMillionOf(pricing['input_cache_read']) ?? prompt,
      requestMicros: microsOf(pricing['request']) ?? 0,
      imageMicros: microsOf(pricing['image']) ?? 0,
    },
  ];
}
