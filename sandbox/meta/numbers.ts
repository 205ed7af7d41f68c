export type Status = 'sent' | 'delivered' | 'read' | 'failed';

/** What becomes of a message to a number: refused at once, or these statuses. */
export type Fate =
  | { kind: 'refused'; code: number }
  | { kind: 'taken'; steps: readonly { status: Status; errorCode: number | null }[] };

/**
 * The fate of a message, by its number alone:
 * - `+1500<six digits of an error code><one digit>`: that error; a last digit below 5 refuses the
 *   call, the others are told later, as `failed`.
 * - `+15010…`: taken, and nothing is told. `+15011…`: sent, and not delivered. `+15012…`: read.
 * - every other number: sent and delivered.
 */
export function fateOf(number: string): Fate {
  const [, digits = '', last = ''] = /^1500(\d{6})(\d)$/.exec(number.replace(/^\+/, '')) ?? [];
  const code = Number(digits);
  if (code > 0) {
    return Number(last) < 5 ? { kind: 'refused', code } : failed(code);
  }
  const pattern = patterns.find(({ begins }) => number.replace(/^\+/, '').startsWith(begins));
  const statuses = pattern?.statuses ?? ['sent', 'delivered'];
  return { kind: 'taken', steps: statuses.map((status) => ({ status, errorCode: null })) };
}

/** A message that was taken, and then not delivered for this reason. */
export function failed(errorCode: number): Fate {
  return { kind: 'taken', steps: [{ status: 'failed', errorCode }] };
}

const patterns: { begins: string; statuses: Status[] }[] = [
  { begins: '15010', statuses: [] },
  { begins: '15011', statuses: ['sent'] },
  { begins: '15012', statuses: ['sent', 'delivered', 'read'] },
];
