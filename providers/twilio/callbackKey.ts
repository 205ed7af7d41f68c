import { validate } from 'uuid';
import type { MessageReference } from '../types';

/** The query parameter of a status callback that carries our reference. */
export const callbackKeyName = 'k';

/**
 * The callback address of one message. Twilio echoes nothing else that is ours, so the reference
 * travels in the query: ids and numbers that mean nothing to anybody but us.
 */
export function callbackUrlOf(statusCallbackUrl: string, reference: MessageReference): string {
  const { runId, dispatchN, attempt, messageN } = reference;
  const url = new URL(statusCallbackUrl);
  url.searchParams.set(callbackKeyName, `${runId}.${dispatchN}.${attempt}.${messageN}`);
  return url.toString();
}

/** The reference in a callback's key; null when it was not written by us. */
export function readCallbackKey(key: string | null): MessageReference | null {
  const [, runId, ...parts] =
    /^([\da-f-]{36})\.(\d{1,10})\.(\d{1,10})\.(\d{1,10})$/i.exec(key ?? '') ?? [];
  const [dispatchN = 0, attempt = 0, messageN = 0] = parts.map(Number);
  const numbers = [dispatchN, attempt, messageN];
  // The columns are 32 bits wide.
  if (!validate(runId) || !numbers.every((number) => number >= 1 && number <= 0x7fff_ffff)) {
    return null;
  }
  return { runId: (runId ?? '').toLowerCase(), dispatchN, attempt, messageN };
}
