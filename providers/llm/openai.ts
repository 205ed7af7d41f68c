import { failureKinds, LlmAttemptError } from '../../domain/llm/failures';
import type { ChatCall } from '../../domain/llm/types';
import { CompatibleEndpoint } from './compatible';
import { fail } from './exchange';
import { chatBody, type Body } from './requests';
import type { KeyStatus, LlmCredentials, LlmProvider } from './types';
import type { Wire } from './wire';

/**
 * OpenAI, and whoever speaks as it does: servers of one's own, other vendors. None of them tells what
 * is left of a key or an account, what an answer cost, or what models cost.
 */
export function createOpenAi(wire: Wire): LlmProvider {
  const endpoint = new CompatibleEndpoint(wire, bodyOf);
  return {
    chat: endpoint.chat,
    stream: (call, credentials, options) => endpoint.stream(call, credentials, options),
    embed: endpoint.embed,
    image: ({ model, prompt, n, size }, credentials, options) =>
      endpoint.image(
        '/images/generations',
        {
          model,
          prompt,
          n,
          ...(size === null ? {} : { size }),
          // The older ones answer with an address; the newer ones know no other form than this.
          ...(model.startsWith('dall-e') ? { response_format: 'b64_json' } : {}),
        },
        credentials,
        options,
      ),
    // The list of models opens to a key that is good, and costs nothing.
    keyStatus: (credentials, options) =>
      endpoint.get('/models', credentials, options, ({ data }) =>
        Array.isArray(data)
          ? unlimited
          : fail({ is: 'unreadable', what: 'models without a list', hadBegun: false }),
      ),
    credits: () => Promise.reject(creditsNotTold()),
    // Names without prices or sizes: nothing a catalogue could reserve money by.
    models: () => Promise.resolve([]),
    generationCost: () => Promise.resolve(null),
    close: () => wire.close(),
  };
}

const unlimited: KeyStatus = {
  limitMicros: null,
  limitRemainingMicros: null,
  limitReset: null,
  usageMicros: 0,
  isFreeTier: false,
  expiresAt: null,
};

function bodyOf(call: ChatCall, { baseUrl }: LlmCredentials): Body {
  // OpenAI itself refuses the old name for models that think; nobody else knows the new one for sure.
  const limit = baseUrl.startsWith('https://api.openai.com/')
    ? 'max_completion_tokens'
    : 'max_tokens';
  return { ...chatBody(call, { marksCache: false }), [limit]: call.maxTokens };
}

function creditsNotTold(): LlmAttemptError {
  return new LlmAttemptError({
    kind: 'invalidRequest',
    scope: failureKinds.invalidRequest,
    status: null,
    message: 'this vendor does not tell what is left of an account',
    vendorCode: null,
    retryAfterMs: null,
    resetsAt: null,
    isFreeClass: false,
    fallbackModels: [],
    hadBegun: false,
  });
}
