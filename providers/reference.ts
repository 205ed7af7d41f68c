import { validate } from 'uuid';
import type { MessageReference } from './types';

/** The reference as one word that a vendor carries: ids and numbers that mean nothing to others. */
export function referenceText({ runId, dispatchN, attempt, messageN }: MessageReference): string {
  return `${runId}.${dispatchN}.${attempt}.${messageN}`;
}

/** The reference that a vendor gave back; null when it was not written by us. */
export function readReference(text: string | null): MessageReference | null {
  const [, runId, ...parts] =
    /^([\da-f-]{36})\.(\d{1,10})\.(\d{1,10})\.(\d{1,10})$/i.exec(text ?? '') ?? [];
  const [dispatchN = 0, attempt = 0, messageN = 0] = parts.map(Number);
  const numbers = [dispatchN, attempt, messageN];
  // The columns are 32 bits wide.
  if (!validate(runId) || !numbers.every((number) => number >= 1 && number <= 0x7fff_ffff)) {
    return null;
  }
  return { runId: (runId ?? '').toLowerCase(), dispatchN, attempt, messageN };
}
