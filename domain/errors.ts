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
  | 'planLimit'
  | 'forbidden'
  | 'notFound'
  | 'methodNotAllowed'
  | 'conflict'
  | 'preconditionFailed'
  | 'tooSlow'
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
  /** What programs may want to know beside the code. */
  readonly details: Readonly<Record<string, string | number | null>>;

  constructor(
    kind: ErrorKind,
    code: string,
    message: string,
    options: {
      problems?: FieldProblem[];
      retryAfterSeconds?: number;
      details?: Record<string, string | number | null>;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.code = code;
    this.problems = options.problems ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.details = options.details ?? {};
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

/** How many problems one answer names; whoever collects them stops there. */
export const maxProblems = 100;

const maxNamed = 10;
const maxSegmentLength = 100;
const maxPathLength = 200;
const maxMessageLength = 1_000;

/**
 * The input is well-formed but wrong; its first 100 wrong fields are named. Paths and messages are
 * cut where they get long, so that an answer stays small whatever the input was.
 */
export function invalid(problems: readonly FieldProblem[]): AppError {
  const told = problems.slice(0, maxProblems).map((problem) => ({
    path: shown(problem.path, maxPathLength),
    code: problem.code,
    message: shown(problem.message, maxMessageLength),
  }));
  const names = told.slice(0, maxNamed).map((problem) => problem.path);
  const others = told.length > maxNamed ? ` … and ${told.length - maxNamed} more` : '';
  return new AppError(
    'invalid',
    'validationFailed',
    `Please check: ${names.join(', ')}${others}.`,
    {
      problems: told,
    },
  );
}

/** A dotted path, each of its segments cut to 100 characters: a caller chooses how long keys are. */
export function dottedPath(segments: readonly PropertyKey[]): string {
  return segments.map((segment) => shown(String(segment), maxSegmentLength)).join('.');
}

// Halves of pairs and control characters would take six bytes each in JSON.
function shown(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
  return cut.replace(/[\p{Cc}\p{Surrogate}]/gu, '\u{FFFD}');
}

/** One wrong field. */
export function invalidField(path: string, code: string, message: string): AppError {
  return invalid([{ path, code, message }]);
}
