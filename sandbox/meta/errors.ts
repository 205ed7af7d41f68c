import type { Reply } from '../sendingEndpoint';

/** The vendor's words for the errors that the stand-in finds itself. */
const titles: Readonly<Record<number, string>> = {
  0: 'AuthException',
  2: 'Service temporarily unavailable',
  100: 'Invalid parameter',
  190: 'Invalid OAuth access token - Cannot parse access token',
  130429: 'Rate limit hit',
  131000: 'Something went wrong',
  131008: 'Required parameter is missing',
  131009: 'Parameter value is not valid',
  131021: 'Recipient cannot be sender',
  131026: 'Message undeliverable',
  131047: 'Re-engagement message',
  131049: 'This message was not delivered to maintain healthy ecosystem engagement',
  131050: 'Recipient has chosen not to receive marketing messages from you',
  131051: 'Unsupported message type',
  131056: 'Business account, consumer account pair rate limit hit',
  132000: 'Number of parameters does not match the expected number of params',
  132001: 'Template name does not exist in the translation',
  132005: 'Translated text too long',
  132015: 'Template is paused',
  132016: 'Template is disabled',
};

// Everything else is a 400.
const statuses: Readonly<Record<number, number>> = {
  0: 401,
  2: 503,
  3: 500,
  10: 403,
  190: 401,
  368: 403,
  130429: 429,
  131000: 500,
  131005: 403,
  131016: 500,
  131031: 403,
  132001: 404,
};

export function titleOf(code: number): string {
  return titles[code] ?? `Error ${code}`;
}

/** The refusal of a code, as the vendor writes one. */
export function refusal(
  code: number,
  changes: { status?: number; message?: string; details?: string; subcode?: number } = {},
): Reply {
  const { status, message, details, subcode } = changes;
  return {
    status: status ?? statuses[code] ?? 400,
    body: {
      error: {
        message: `(#${code}) ${message ?? titleOf(code)}`,
        type: 'OAuthException',
        code,
        ...(subcode === undefined ? {} : { error_subcode: subcode }),
        ...(details === undefined
          ? {}
          : { error_data: { messaging_product: 'whatsapp', details } }),
        fbtrace_id: 'AsandboxTrace',
      },
    },
  };
}
