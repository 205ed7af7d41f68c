// https://www.postgresql.org/docs/current/errcodes-appendix.html
const uniqueViolation = '23505';
const foreignKeyViolation = '23503';
const serializationFailure = '40001';
const deadlockDetected = '40P01';

// Connection exceptions, the server going down or coming up, no connection left.
const unavailableStates = /^(08\w{3}|57P0[1-5]|53300)$/;

const unavailableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** The unique constraint or index that refused the row, when that is what the error says. */
export function brokenUniqueConstraint(error: unknown): string | null {
  return constraintOf(error, uniqueViolation);
}

/** The foreign key that refused the row, when that is what the error says. */
export function brokenForeignKey(error: unknown): string | null {
  return constraintOf(error, foreignKeyViolation);
}

/** Whether Postgres ended this transaction to let another one through. */
export function isDeadlock(error: unknown): boolean {
  return textOf(driverError(error), 'code') === deadlockDetected;
}

/** Whether Postgres could not read a value as the type it was said to be (class 22). */
export function isDataException(error: unknown): boolean {
  return textOf(driverError(error), 'code')?.startsWith('22') === true;
}

/**
 * Whether the values are what Postgres refused: out of range, unreadable, against a constraint or too
 * large for an index (classes 22, 23 and 54). The same statement is taken with others.
 */
export function isRefusedValue(error: unknown): boolean {
  return /^(22|23|54)/.test(textOf(driverError(error), 'code') ?? '');
}

/** Whether another transaction was in the way, so that doing it again at once helps. */
export function isTransactionConflict(error: unknown): boolean {
  const code = textOf(driverError(error), 'code');
  return code === deadlockDetected || code === serializationFailure;
}

/** Whether Postgres could not be reached or was on its way down, so that trying later may help. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const cause = driverError(error);
  const code = textOf(cause, 'code');
  if (code !== null && (unavailableStates.test(code) || unavailableCodes.has(code))) {
    return true;
  }
  if (!(cause instanceof Error)) {
    return false;
  }
  // pg and Knex give these no code.
  return (
    cause.name === 'KnexTimeoutError' ||
    /connection terminated|client has encountered a connection error|connection ended/i.test(
      cause.message,
    )
  );
}

function constraintOf(error: unknown, code: string): string | null {
  const cause = driverError(error);
  return textOf(cause, 'code') === code ? textOf(cause, 'constraint') : null;
}

// Objection wraps what the driver threw; an AggregateError holds one refusal per address tried.
function driverError(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return driverError(error.errors[0]);
  }
  if (typeof error === 'object' && error !== null && 'nativeError' in error) {
    return driverError(error.nativeError);
  }
  return error;
}

function textOf(error: unknown, property: string): string | null {
  if (typeof error !== 'object' || error === null) {
    return null;
  }
  const value: unknown = Reflect.get(error, property);
  return typeof value === 'string' ? value : null;
}
