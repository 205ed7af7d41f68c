import { AppError, type ErrorKind } from '../../domain/errors';
import { brokenForeignKey, isDatabaseUnavailable } from '../../lib/databaseErrors';
import type { Logger } from '../../lib/logger';
import type { ApiContext, ApiMiddleware } from '../context';

export const statusOf = {
  malformed: 400,
  unauthenticated: 401,
  planLimit: 402,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  tooSlow: 408,
  conflict: 409,
  preconditionFailed: 412,
  tooLarge: 413,
  unsupportedMediaType: 415,
  invalid: 422,
  rateLimited: 429,
  providerFailed: 502,
  unavailable: 503,
} as const satisfies Record<ErrorKind, number>;

const titles = {
  malformed: 'The request is malformed',
  unauthenticated: 'A valid access token is needed',
  planLimit: 'The plan does not go so far',
  forbidden: 'Your role does not allow this',
  notFound: 'Not found',
  methodNotAllowed: 'The method is not allowed here',
  tooSlow: 'The request did not come in time',
  conflict: 'The state of things does not allow this now',
  preconditionFailed: 'It has changed since you read it',
  tooLarge: 'The body is too large',
  unsupportedMediaType: 'The body has a type that is not read here',
  invalid: 'Some fields are not right',
  rateLimited: 'Too many requests',
  providerFailed: 'A provider failed',
  unavailable: 'Not available right now',
} as const satisfies Record<ErrorKind, string>;

/** RFC 9457. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  requestId: string;
  /** What lies behind the code, where one code has several reasons. */
  reason?: string | number | null;
  /** Of 402: the smallest plan that would do. */
  requiredPlan?: string;
  errors?: { path: string; code: string; message: string }[];
}

/** The one place where an error becomes an answer. What is not ours to tell is logged, not told. */
export function problem(logger: Logger): ApiMiddleware {
  return async (context, next) => {
    try {
      await next();
    } catch (error) {
      answer(context, toAppError(error, context, logger));
    }
  };
}

/** The body of an error's answer. */
export function problemOf(error: AppError | 'internal', requestId: string): Problem {
  if (error === 'internal') {
    return {
      type: 'urn:carillon:problem:internalError',
      title: 'Something went wrong on our side',
      status: 500,
      detail: `It was recorded; ask us about request ${requestId}.`,
      code: 'internalError',
      requestId,
    };
  }
  // No detail hides what the problem itself says: a code of its own is why.
  const { code: reason, ...details } = error.details;
  return {
    ...details,
    ...(reason === undefined ? {} : { reason }),
    type: `urn:carillon:problem:${error.code}`,
    title: titles[error.kind],
    status: statusOf[error.kind],
    detail: error.message,
    code: error.code,
    requestId,
    ...(error.problems.length > 0 ? { errors: error.problems } : {}),
  };
}

function toAppError(error: unknown, context: ApiContext, logger: Logger): AppError | 'internal' {
  const { requestId } = context.state;
  if (error instanceof AppError) {
    return error;
  }
  if (isDatabaseUnavailable(error)) {
    logger.error({ requestId, err: error }, 'database unavailable');
    return new AppError('unavailable', 'databaseUnavailable', 'The database is not reachable.', {
      retryAfterSeconds: 2,
      cause: error,
    });
  }
  // A token outlives its tenant only when the database was replaced under it.
  if (brokenForeignKey(error)?.endsWith('_tenant_id_fkey') === true) {
    return new AppError('unauthenticated', 'tokenInvalid', 'The token is of no tenant here.');
  }
  if (isCallerGone(error)) {
    return new AppError('malformed', 'requestAborted', 'The request ended before its body did.');
  }
  logger.error({ requestId, err: error }, 'request failed');
  return 'internal';
}

function answer(context: ApiContext, error: AppError | 'internal'): void {
  if (context.headerSent || !context.writable) {
    return;
  }
  const body = problemOf(error, context.state.requestId);
  context.status = body.status;
  if (error !== 'internal' && error.kind === 'unauthenticated') {
    context.set('WWW-Authenticate', 'Bearer realm="carillon"');
  }
  if (error !== 'internal' && error.retryAfterSeconds !== undefined) {
    context.set('Retry-After', String(error.retryAfterSeconds));
  }
  context.remove('ETag');
  context.body = JSON.stringify(body);
  context.type = 'application/problem+json';
}

// Node's error of a body that was cut off.
function isCallerGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET'
    ? error.message === 'aborted'
    : false;
}
