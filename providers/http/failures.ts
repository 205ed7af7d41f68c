/** What went wrong with a call that got no answer, as one word for people. */
export function reasonOfFailure(error: unknown): string {
  if (isObject(error) && typeof error.code === 'string') {
    return error.code;
  }
  return error instanceof Error ? error.name : 'unknown';
}

/** RFC 9110 10.2.3: seconds, or the date of the instant. Null when nothing was asked for. */
export function retryAfterMs(headers: unknown, now: number): number | null {
  const value = isObject(headers) ? headers['retry-after'] : undefined;
  if (typeof value !== 'string' || value.trim() === '') {
    return null;
  }
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.max(ms, 0) : null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
