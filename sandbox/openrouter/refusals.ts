import { resetAfter } from './accounts';
import {
  keyLimitSpent,
  outOfCredits,
  platformLimit,
  refusal,
  userNotFound,
  type Refusal,
} from './errors';
import type { Fate, FaultRule, OpenRouterFaultName } from './faults';

interface Asked {
  model: string;
  /** Some of the prompt, as a moderation quotes it. */
  excerpt: string;
  now: number;
}

/** How a fault is answered before anything was done; null for one that shows in the answer itself. */
export function refusalOf(fate: Fate, asked: Asked): Refusal | null {
  const { rule } = fate;
  if (!rule?.fault) {
    return null;
  }
  const make = makers[rule.fault];
  if (!make) {
    return null;
  }
  const made = make({ rule, resetsAt: resetsAtOf(fate, rule, asked.now), ...asked });
  return rule.message === undefined || typeof made.body === 'string' ? made : reworded(made, rule);
}

type Maker = (asked: Asked & { rule: FaultRule; resetsAt: number }) => Refusal;

const makers: Partial<Record<OpenRouterFaultName, Maker>> = {
  invalidRequest: typed(400, 'invalid_request', 'Invalid input: expected number, received string'),
  invalidPrompt: typed(400, 'invalid_prompt', 'messages: at least one message has empty content'),
  stringTooLong: typed(400, 'string_too_long', 'A message is longer than the provider takes'),
  invalidImage: typed(400, 'invalid_image', 'The image could not be read'),
  imageTooLarge: typed(400, 'image_too_large', 'The image is larger than the provider takes'),
  imageNotFound: typed(404, 'image_not_found', 'The image could not be found at its address'),
  contextLengthExceeded: ({ model }) =>
    refusal(
      400,
      `This endpoint's maximum context length is exceeded for ${model}. Please reduce the length of either one, or use the "middle-out" transform.`,
      { error_type: 'context_length_exceeded', provider_code: 'context_length_exceeded' },
    ),
  tokenLimitExceeded: typed(
    400,
    'token_limit_exceeded',
    'This request asks for more tokens than your credits pay for. Lower max_tokens, or add credits.',
  ),
  contentPolicy: typed(
    400,
    'content_policy_violation',
    'The request was flagged by a content filter of the provider',
  ),
  refusal: typed(400, 'refusal', 'The model refused to answer'),
  preconditionFailed: typed(412, 'precondition_failed', 'A precondition was not satisfied'),
  payloadTooLarge: typed(413, 'payload_too_large', 'Request body is too large'),
  unprocessable: typed(422, 'unprocessable', 'The request cannot be processed'),

  unauthorized: () => userNotFound,
  outOfCredits,
  keyLimit: keyLimitSpent,
  inFlightBudget: ({ rule }) =>
    refusal(
      402,
      'This request would exceed your available credits given your current in-flight requests. Retry after in-flight requests settle, or add credits.',
      {
        error_type: 'payment_required',
        reason: 'in_flight_budget_exhausted',
        limit_source: 'openrouter_in_flight_budget',
        remedy_hint: 'Retry after your in-flight requests settle (see the Retry-After header).',
      },
      { 'retry-after': String(rule.retryAfterSeconds ?? 5) },
    ),
  weightExceedsBudget: () =>
    refusal(402, 'This request costs more than your in-flight budget allows.', {
      error_type: 'payment_required',
      reason: 'weight_exceeds_budget',
      limit_source: 'openrouter_credits',
      remedy_hint: 'Lower max_tokens or the prompt size, or add credits.',
    }),
  moderation: ({ model, excerpt }) =>
    refusal(403, `${model} requires moderation on OpenAI. Your input was flagged for "violence".`, {
      reasons: ['violence'],
      flagged_input: excerpt,
      provider_name: 'OpenAI',
      model_slug: model,
    }),
  guardrail: () =>
    refusal(403, 'Request blocked: prompt injection patterns detected', {
      patterns: ['ignore all previous instructions'],
    }),
  guardrailBudget: budget('openrouter_guardrail_budget', 'guardrail', 'Guardrail daily budget'),
  workspaceBudget: budget('openrouter_workspace_budget', 'workspace', 'Workspace monthly budget'),
  keyBudget: budget('openrouter_key_limit', 'api-key', 'Key limit'),
  regionRestricted: ({ model }) =>
    refusal(403, `${model} is not available in your region`, {
      error_type: 'permission_denied',
      reason: 'region_restricted',
      provider_code: 'unsupported_country_region_territory',
    }),
  permissionDenied: ({ model }) =>
    refusal(403, `This key may not use ${model}`, { error_type: 'permission_denied' }),

  noEndpoints: unavailable('no_endpoints', (model) => `No endpoints found for ${model}.`),
  modelDeprecated: unavailable('deprecated', (model) => `${model} has been deprecated.`),
  privacyConstraint: unavailable(
    'privacy',
    () =>
      'No endpoints found matching your data policy. Configure: https://openrouter.ai/settings/privacy',
  ),
  parameterConstraint: unavailable(
    'constraint',
    () => 'No endpoints found that can handle the requested parameters.',
  ),

  requestTimeout: typed(408, 'timeout', 'Request timed out'),
  gatewayTimeout: typed(504, 'timeout', 'The provider did not respond in time'),
  edgeTimeout: () => edgePage(524, 'A timeout occurred'),

  platformRateLimit: ({ rule, resetsAt }) =>
    platformLimit('Rate limit exceeded', 100, resetsAt, rule.retryAfterSeconds),
  freeRateLimit: ({ rule, resetsAt }) =>
    platformLimit(
      'Rate limit exceeded: free-models-per-min.',
      20,
      resetsAt,
      rule.retryAfterSeconds,
    ),
  upstreamRateLimit: ({ model, rule }) =>
    refusal(
      429,
      `${model} is temporarily rate-limited upstream. Please retry shortly.`,
      {
        error_type: 'rate_limit_exceeded',
        provider_code: 'rate_limited',
        provider_name: 'Provider',
      },
      rule.retryAfterSeconds === undefined
        ? undefined
        : { 'retry-after': String(rule.retryAfterSeconds) },
    ),
  capacityExhausted: ({ model, rule }) =>
    availability(429, {
      message: `${model} is at capacity.`,
      errorType: 'rate_limit_exceeded',
      code: 'capacity_exhausted',
      retryAfterSeconds: rule.retryAfterSeconds ?? 2,
      fallbackModels: rule.fallbackModels ?? [],
    }),
  edgeRateLimit: () => edgePage(429, 'Too many requests'),
  edgeBan: () => edgePage(429, 'Error 1015: You are being rate limited'),

  serverError: typed(500, 'server', 'Internal Server Error'),
  badGateway: typed(502, 'provider_unavailable', 'Provider returned error'),
  unavailable: ({ rule }) =>
    refusal(
      503,
      'Provider is temporarily overloaded',
      { error_type: 'provider_overloaded' },
      rule.retryAfterSeconds === undefined
        ? undefined
        : { 'retry-after': String(rule.retryAfterSeconds) },
    ),
  overloaded: typed(529, 'provider_overloaded', 'Provider is overloaded'),
};

function typed(status: number, errorType: string, message: string): Maker {
  return ({ rule }) =>
    refusal(status, message, rule.typed === false ? undefined : { error_type: errorType });
}

function budget(limitSource: string, scope: string, name: string): Maker {
  return ({ rule, resetsAt, now }) => {
    const isSaid = rule.resetsInSeconds !== undefined || rule.forMs !== undefined;
    return refusal(403, `${name} of $50.00 exceeded. Contact your workspace admin.`, {
      error_type: 'permission_denied',
      limit_source: limitSource,
      scope,
      limit_usd: 50,
      spend_usd: 50.02,
      resets_at: new Date(isSaid ? resetsAt : resetAfter('daily', now)).toISOString(),
    });
  };
}

function unavailable(code: string, message: (model: string) => string): Maker {
  return ({ model, rule }) =>
    availability(404, {
      message: message(model),
      errorType: 'not_found',
      code,
      retryAfterSeconds: null,
      fallbackModels: rule.fallbackModels ?? [],
    });
}

// What is said of a model that cannot serve has no `code` beside its message.
function availability(
  status: number,
  about: {
    message: string;
    errorType: string;
    code: string;
    retryAfterSeconds: number | null;
    fallbackModels: readonly string[];
  },
): Refusal {
  const { message, errorType, code, retryAfterSeconds, fallbackModels } = about;
  return {
    status,
    body: {
      error: {
        message,
        error_type: errorType,
        http_status: status,
        availability: {
          code,
          retryable: retryAfterSeconds !== null,
          retry_after: retryAfterSeconds,
          fallback_models: fallbackModels,
        },
      },
    },
    ...(retryAfterSeconds === null
      ? {}
      : { headers: { 'retry-after': String(retryAfterSeconds) } }),
  };
}

function edgePage(status: number, title: string): Refusal {
  return {
    status,
    body: `<!DOCTYPE html><html lang="en-US"><head><title>${title} | openrouter.ai | Cloudflare</title></head><body><h1>${title}</h1><p>Cloudflare Ray ID: 5a5a5a5a5a5a5a5a</p></body></html>`,
    headers: { 'content-type': 'text/html; charset=UTF-8', server: 'cloudflare' },
  };
}

function resetsAtOf({ endsAt }: Fate, rule: FaultRule, now: number): number {
  if (rule.resetsInSeconds !== undefined) {
    return now + rule.resetsInSeconds * 1_000;
  }
  if (rule.retryAfterSeconds !== undefined) {
    return now + rule.retryAfterSeconds * 1_000;
  }
  return endsAt ?? now + 60_000;
}

function reworded(made: Refusal, { message }: FaultRule): Refusal {
  const { body } = made;
  if (typeof body !== 'object' || body === null || !('error' in body)) {
    return made;
  }
  const { error } = body;
  return { ...made, body: { error: { ...(typeof error === 'object' ? error : {}), message } } };
}
