import type { MessageReference } from '../types';

const largest = 0x7fff_ffff;

/** The reference as one word of letters, digits and dots: it says nothing of the recipient. */
export function referenceToken({ runId, messageN, dispatchN, attempt }: MessageReference): string {
  const numbers = [messageN, dispatchN, attempt].map((number) => number.toString(36));
  return [runId.replaceAll('-', '').toLowerCase(), ...numbers].join('.');
}

const tokenPattern =
  /([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})\.([0-9a-z]{1,6})\.([0-9a-z]{1,6})\.([0-9a-z]{1,6})(?![0-9a-z.])/i;

/**
 * The reference in a Message-ID or an X-Carillon-Ref header, wherever it stands in the text, or null
 * when there is none of ours.
 */
export function readReferenceToken(text: string): MessageReference | null {
  const match = tokenPattern.exec(text);
  if (match === null) {
    return null;
  }
  const runId = match.slice(1, 6).join('-').toLowerCase();
  const [messageN = 0, dispatchN = 0, attempt = 0] = match
    .slice(6)
    .map((digits) => Number.parseInt(digits, 36));
  const isOurs = [messageN, dispatchN, attempt].every((n) => n >= 1 && n <= largest);
  return isOurs ? { runId, messageN, dispatchN, attempt } : null;
}
