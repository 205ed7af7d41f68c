/** One problem with one field of the input. `path` is dotted, as the caller wrote it: `schedule.time`. */
export interface FieldProblem {
  path: string;
  message: string;
  code: string;
}

/** The kinds of refusal the product knows; the HTTP edge maps each to one status. */
export type ErrorKind =
  | 'malformed'
  | 'unauthenticated'
  | 'forbidden'
  | 'notFound'
  | 'methodNotAllowed'
  | 'conflict'
  | 'preconditionFailed'
  | 'tooLarge'
  | 'unsupportedMediaType'
  | 'invalid'
  | 'rateLimited'
  | 'providerFailed'
  | 'unavailable';

/** An error that is an answer: `code` is the stable contract, the message is for people. */
export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly problems: FieldProblem[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    kind: ErrorKind,
    code: string,
    message: string,
    options: { problems?: FieldProblem[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.code = code;
    this.problems = options.problems ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The row does not exist, or not for this tenant: the answer is the same. */
export function notFound(what: string): AppError {
  return new AppError('notFound', `${what}NotFound`, `There is no such ${what}.`);
}

/** The request is right but the state of things does not allow it now. */
export function conflict(code: string, message: string): AppError {
  return new AppError('conflict', code, message);
}

/** The input is well-formed but wrong; every wrong field is named. */
export function invalid(problems: FieldProblem[]): AppError {
  const names = problems.map((problem) => problem.path).join(', ');
  return new AppError('invalid', 'validationFailed', `Please check: ${names}.`, { problems });
}

/** One wrong field. */
export function invalidField(path: string, code: string, message: string): AppError {
  return invalid([{ path, code, message }]);
}
