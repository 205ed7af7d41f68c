/** An answer that is no success: JSON, or a page of the edge. */
export interface Refusal {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** The body of an error, as the vendor writes one. */
export function refusal(
  status: number,
  message: string,
  metadata?: Record<string, unknown>,
  headers?: Record<string, string>,
): Refusal {
  const error = { code: status, message, ...(metadata ? { metadata } : {}) };
  return { status, body: { error }, ...(headers ? { headers } : {}) };
}

/** The documented name of an error by its status. */
export function errorTypeOf(status: number): string {
  return errorTypes[status] ?? (status < 500 ? 'invalid_request' : 'server');
}

const errorTypes: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'authentication',
  402: 'payment_required',
  403: 'permission_denied',
  404: 'not_found',
  408: 'timeout',
  412: 'precondition_failed',
  413: 'payload_too_large',
  422: 'unprocessable',
  429: 'rate_limit_exceeded',
  500: 'server',
  502: 'provider_unavailable',
  503: 'provider_overloaded',
  504: 'timeout',
  524: 'timeout',
  529: 'provider_overloaded',
};

/** What the vendor says of an error by its status, in the middle of an answer. */
export function messageOf(status: number): string {
  return messages[status] ?? 'Internal Server Error';
}

const messages: Readonly<Record<number, string>> = {
  400: 'Provider returned error',
  408: 'Request timed out',
  429: 'Rate limit exceeded',
  502: 'Provider disconnected mid-stream',
  503: 'Provider is temporarily overloaded',
  504: 'The provider did not respond in time',
  529: 'Provider is temporarily overloaded',
};

export const noCredentials = refusal(401, 'No auth credentials found', {
  error_type: 'authentication',
});

/** A token that opens nothing, as for a key that was disabled or deleted. */
export const userNotFound = refusal(401, 'User not found.', { error_type: 'authentication' });

export const managementOnly = refusal(403, 'Only management keys can perform this operation', {
  error_type: 'permission_denied',
});

export const notFound = refusal(404, 'Not Found', { error_type: 'not_found' });

export function outOfCredits(): Refusal {
  return refusal(
    402,
    'Insufficient credits. Add more using https://openrouter.ai/settings/credits',
    {
      error_type: 'payment_required',
      limit_source: 'openrouter_credits',
      remedy_hint: 'Add credits to bring your balance above zero.',
    },
  );
}

export function keyLimitSpent(): Refusal {
  return refusal(402, 'Key limit exceeded. Manage it using https://openrouter.ai/settings/keys', {
    error_type: 'payment_required',
    limit_source: 'openrouter_key_limit',
    remedy_hint: "Raise the key's limit, or wait until it resets.",
  });
}

/** 429 of the vendor itself, with when its limit comes back. */
export function platformLimit(
  message: string,
  limit: number,
  resetsAt: number,
  retryAfterSeconds?: number,
): Refusal {
  return refusal(
    429,
    message,
    { error_type: 'rate_limit_exceeded' },
    {
      'x-ratelimit-limit': String(limit),
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(Math.ceil(resetsAt)),
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
  );
}
