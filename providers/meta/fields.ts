import { cleaned } from '../vendorText';

/** A field of a webhook, as text: nobody promises that it is what it should be. */
export function textOf(value: unknown): string {
  return cleaned(typeof value === 'string' || typeof value === 'number' ? String(value) : '');
}

/** A list's items; none where there is no list. */
export function itemsOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A number as E.164, from the vendor's digits; null for what is no number. */
export function numberOf(text: string): string | null {
  const digits = text.replace(/[\s().+-]/g, '');
  return /^[1-9]\d{6,14}$/.test(digits) ? `+${digits}` : null;
}

/** An id of a message: opaque, but one word. */
export function messageIdOf(value: unknown): string | null {
  const text = textOf(value);
  return /^[\x21-\x7e]{1,200}$/.test(text) ? text : null;
}

const dayMs = 86_400_000;
// The vendor tries for a week; what says it is older, or of tomorrow, has a broken clock.
const oldestMs = 30 * dayMs;

/** Unix seconds as an instant, never after it was received. */
export function instantOf(seconds: unknown, receivedAt: Date): Date {
  const text = textOf(seconds);
  const ms = /^\d{1,12}$/.test(text) ? Number(text) * 1_000 : Number.NaN;
  const age = receivedAt.getTime() - ms;
  return age >= 0 && age <= oldestMs ? new Date(ms) : receivedAt;
}
