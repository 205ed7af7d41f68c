/** A model as the vendor lists it. Prices are US dollars for one token, image or request. */
export interface SandboxModel {
  id: string;
  name: string;
  /** Of `/images` and `/embeddings` too. */
  kind: 'chat' | 'embedding' | 'image';
  contextLength: number;
  maxCompletionTokens: number | null;
  prompt: string;
  completion: string;
  cached: string;
  image: string;
  inputs: readonly string[];
  outputs: readonly string[];
  parameters: readonly string[];
  /** Who serves it, as answers name it. */
  provider: string;
}

const SAMPLING = ['max_tokens', 'temperature', 'top_p', 'stop', 'seed'];
const ABLE = [...SAMPLING, 'tools', 'tool_choice', 'response_format', 'structured_outputs'];
const CREATED = 1_752_000_000;

const TEXT = ['text'];
const IMAGES = ['text', 'image'];
const FILES = ['text', 'image', 'file'];

type ChatModel = Omit<SandboxModel, 'kind' | 'image' | 'outputs' | 'parameters'> & {
  parameters?: readonly string[];
};

const chat: readonly ChatModel[] = [
  {
    id: 'openai/gpt-5',
    name: 'OpenAI: GPT-5',
    provider: 'OpenAI',
    contextLength: 400_000,
    maxCompletionTokens: 128_000,
    prompt: '0.00000125',
    completion: '0.00001',
    cached: '0.000000125',
    inputs: FILES,
  },
  {
    id: 'openai/gpt-5-mini',
    name: 'OpenAI: GPT-5 Mini',
    provider: 'OpenAI',
    contextLength: 400_000,
    maxCompletionTokens: 128_000,
    prompt: '0.00000025',
    completion: '0.000002',
    cached: '0.000000025',
    inputs: FILES,
  },
  {
    id: 'openai/gpt-5-nano',
    name: 'OpenAI: GPT-5 Nano',
    provider: 'OpenAI',
    contextLength: 400_000,
    maxCompletionTokens: 128_000,
    prompt: '0.00000005',
    completion: '0.0000004',
    cached: '0.000000005',
    inputs: FILES,
  },
  {
    id: 'openai/gpt-4o-mini',
    name: 'OpenAI: GPT-4o-mini',
    provider: 'OpenAI',
    contextLength: 128_000,
    maxCompletionTokens: 16_384,
    prompt: '0.00000015',
    completion: '0.0000006',
    cached: '0.000000075',
    inputs: FILES,
  },
  {
    id: 'anthropic/claude-sonnet-4.5',
    name: 'Anthropic: Claude Sonnet 4.5',
    provider: 'Anthropic',
    contextLength: 1_000_000,
    maxCompletionTokens: 64_000,
    prompt: '0.000003',
    completion: '0.000015',
    cached: '0.0000003',
    inputs: FILES,
  },
  {
    id: 'anthropic/claude-haiku-4.5',
    name: 'Anthropic: Claude Haiku 4.5',
    provider: 'Anthropic',
    contextLength: 200_000,
    maxCompletionTokens: 64_000,
    prompt: '0.000001',
    completion: '0.000005',
    cached: '0.0000001',
    inputs: IMAGES,
  },
  {
    id: 'google/gemini-2.5-pro',
    name: 'Google: Gemini 2.5 Pro',
    provider: 'Google',
    contextLength: 1_048_576,
    maxCompletionTokens: 65_536,
    prompt: '0.00000125',
    completion: '0.00001',
    cached: '0.000000125',
    inputs: FILES,
  },
  {
    id: 'google/gemini-2.5-flash',
    name: 'Google: Gemini 2.5 Flash',
    provider: 'Google',
    contextLength: 1_048_576,
    maxCompletionTokens: 65_535,
    prompt: '0.0000003',
    completion: '0.0000025',
    cached: '0.00000003',
    inputs: FILES,
  },
  {
    id: 'mistralai/mistral-medium-3.1',
    name: 'Mistral: Mistral Medium 3.1',
    provider: 'Mistral',
    contextLength: 131_072,
    maxCompletionTokens: null,
    prompt: '0.0000004',
    completion: '0.000002',
    cached: '0.00000004',
    inputs: IMAGES,
  },
  {
    id: 'mistralai/mistral-small-3.2-24b-instruct',
    name: 'Mistral: Mistral Small 3.2 24B',
    provider: 'Mistral',
    contextLength: 131_072,
    maxCompletionTokens: null,
    prompt: '0.00000006',
    completion: '0.00000018',
    cached: '0',
    inputs: IMAGES,
  },
  {
    id: 'deepseek/deepseek-chat-v3.1',
    name: 'DeepSeek: DeepSeek V3.1',
    provider: 'DeepSeek',
    contextLength: 163_840,
    maxCompletionTokens: null,
    prompt: '0.00000027',
    completion: '0.000001',
    cached: '0',
    inputs: TEXT,
  },
  {
    id: 'meta-llama/llama-3.3-70b-instruct',
    name: 'Meta: Llama 3.3 70B Instruct',
    provider: 'DeepInfra',
    contextLength: 131_072,
    maxCompletionTokens: 16_384,
    prompt: '0.00000013',
    completion: '0.0000004',
    cached: '0',
    inputs: TEXT,
  },
  {
    id: 'meta-llama/llama-3.3-70b-instruct:free',
    name: 'Meta: Llama 3.3 70B Instruct (free)',
    provider: 'Venice',
    contextLength: 65_536,
    maxCompletionTokens: null,
    prompt: '0',
    completion: '0',
    cached: '0',
    inputs: TEXT,
    parameters: SAMPLING,
  },
  {
    id: 'openai/gpt-oss-20b:free',
    name: 'OpenAI: gpt-oss-20b (free)',
    provider: 'OpenInference',
    contextLength: 131_072,
    maxCompletionTokens: null,
    prompt: '0',
    completion: '0',
    cached: '0',
    inputs: TEXT,
  },
  {
    id: 'qwen/qwen3-14b',
    name: 'Qwen: Qwen3 14B',
    provider: 'DeepInfra',
    contextLength: 40_960,
    maxCompletionTokens: 40_960,
    prompt: '0.00000005',
    completion: '0.00000022',
    cached: '0',
    inputs: TEXT,
  },
  {
    id: 'sao10k/l3-lunaris-8b',
    name: 'Sao10K: Llama 3 8B Lunaris',
    provider: 'DeepInfra',
    contextLength: 8_192,
    maxCompletionTokens: null,
    prompt: '0.00000004',
    completion: '0.00000005',
    cached: '0',
    inputs: TEXT,
    parameters: SAMPLING,
  },
];

const others: readonly SandboxModel[] = [
  {
    id: 'openai/text-embedding-3-small',
    name: 'OpenAI: Text Embedding 3 Small',
    kind: 'embedding',
    contextLength: 8_192,
    maxCompletionTokens: null,
    prompt: '0.00000002',
    completion: '0',
    cached: '0',
    image: '0',
    inputs: ['text'],
    outputs: ['embeddings'],
    parameters: [],
    provider: 'OpenAI',
  },
  {
    id: 'qwen/qwen3-embedding-8b',
    name: 'Qwen: Qwen3 Embedding 8B',
    kind: 'embedding',
    contextLength: 32_768,
    maxCompletionTokens: null,
    prompt: '0.00000001',
    completion: '0',
    cached: '0',
    image: '0',
    inputs: ['text'],
    outputs: ['embeddings'],
    parameters: [],
    provider: 'DeepInfra',
  },
  {
    id: 'black-forest-labs/flux.2-pro',
    name: 'Black Forest Labs: FLUX.2 Pro',
    kind: 'image',
    contextLength: 46_864,
    maxCompletionTokens: null,
    prompt: '0',
    completion: '0',
    cached: '0',
    image: '0.03',
    inputs: ['text', 'image'],
    outputs: ['image'],
    parameters: ['seed'],
    provider: 'Black Forest Labs',
  },
];

/** Every model that the stand-in serves. */
export const catalogue: readonly SandboxModel[] = [
  ...chat.map((model) => ({
    parameters: ABLE,
    ...model,
    kind: 'chat' as const,
    image: '0',
    outputs: TEXT,
  })),
  ...others,
];

const byId = new Map(catalogue.map((model) => [model.id, model]));

export function findModel(id: string): SandboxModel | undefined {
  return byId.get(id);
}

export function isFree(model: SandboxModel): boolean {
  return model.id.endsWith(':free');
}

/** What tokens of a model cost, in millionths of a US dollar, with its fractions. */
export function costMicros(
  model: SandboxModel,
  tokens: { prompt: number; completion: number; cached: number },
): number {
  const price = priceOf(model);
  const read = (tokens.prompt - tokens.cached) * price.prompt + tokens.cached * price.cached;
  return read + tokens.completion * price.completion;
}

export function imageMicros(model: SandboxModel, count: number): number {
  return Number(model.image) * 1e6 * count;
}

type Price = Record<'prompt' | 'completion' | 'cached', number>;

const prices = new Map<string, Price>();

function priceOf(model: SandboxModel): Price {
  let price = prices.get(model.id);
  if (!price) {
    const prompt = Number(model.prompt) * 1e6;
    price = {
      prompt,
      completion: Number(model.completion) * 1e6,
      cached: model.cached === '0' ? prompt : Number(model.cached) * 1e6,
    };
    prices.set(model.id, price);
  }
  return price;
}

/** The answer of `GET /models`. */
export const modelList = {
  data: catalogue.map((model) => ({
    id: model.id,
    canonical_slug: model.id.replace(':free', ''),
    name: model.name,
    created: CREATED,
    description: `${model.name}, as the sandbox plays it.`,
    context_length: model.contextLength,
    architecture: {
      modality: `${model.inputs.join('+')}->${model.outputs.join('+')}`,
      input_modalities: model.inputs,
      output_modalities: model.outputs,
      tokenizer: 'Other',
      instruct_type: null,
    },
    pricing: {
      prompt: model.prompt,
      completion: model.completion,
      request: '0',
      image: model.image,
      web_search: '0',
      internal_reasoning: '0',
      ...(model.cached === '0' ? {} : { input_cache_read: model.cached }),
    },
    top_provider: {
      context_length: model.contextLength,
      max_completion_tokens: model.maxCompletionTokens,
      is_moderated: model.provider === 'OpenAI',
    },
    per_request_limits: null,
    supported_parameters: model.parameters,
  })),
};
