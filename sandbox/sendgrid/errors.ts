/** One problem, in the vendor's words where they are known. */
export interface SendGridError {
  message: string;
  field: string | null;
  help: string | null;
}

const HELP_PAGE = 'http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html';
const LISTED_PROBLEMS = 1_000;

export function sendGridError(message: string, field: string | null = null): SendGridError {
  return { message, field, help: null };
}

/** Gathers what is wrong with a request; the vendor names several problems at once. */
export class Problems {
  readonly found: SendGridError[] = [];

  /** `topic` is the part of the vendor's error page that explains the problem. */
  add(field: string, message: string, topic: string | null = null): void {
    if (this.found.length < LISTED_PROBLEMS) {
      this.found.push({ message, field, help: topic === null ? null : `${HELP_PAGE}#${topic}` });
    }
  }
}

export const AUTHORIZATION_REQUIRED = sendGridError('authorization required');
export const AUTHORIZATION_INVALID = sendGridError(
  'The provided authorization grant is invalid, expired, or revoked',
);
export const TOO_MANY_REQUESTS = sendGridError('too many requests');
export const BAD_REQUEST = sendGridError('Bad Request');
export const WRONG_CONTENT_TYPE = sendGridError(
  'Content-Type should be application/json.',
  'Content-Type',
);
export const TOO_LARGE = sendGridError(
  'The JSON payload you have included in your request is too large.',
);
export const INTERNAL_ERROR = sendGridError('Internal Server Error');
export const NOT_FOUND = sendGridError('not found');
export const METHOD_NOT_ALLOWED = sendGridError('method not allowed');
