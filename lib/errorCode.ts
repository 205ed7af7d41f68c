/**
 * The `code` of an error of Node, Postgres or gRPC, as text; undefined where there is none. Asks for
 * the property alone: an error from another realm is no `instanceof Error`.
 */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error
    ? String(error.code)
    : undefined;
}
