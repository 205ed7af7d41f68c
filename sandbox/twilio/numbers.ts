/** What a status callback tells of a message, `delayMs` after its acceptance. */
export interface Step {
  status: 'queued' | 'sent' | 'delivered' | 'undelivered' | 'failed' | 'read';
  delayMs: number;
  errorCode: number | null;
}

/** What becomes of a message to a number: refused at once, or these steps. */
export type Fate = { kind: 'refused'; code: number } | { kind: 'taken'; steps: Step[] };

// The vendor's own numbers for trying errors.
const refusedTo: Readonly<Record<string, number>> = {
  '+15005550001': 21211,
  '+15005550002': 21612,
  '+15005550003': 21408,
  '+15005550004': 21610,
  '+15005550009': 21614,
};
const refusedFrom: Readonly<Record<string, number>> = {
  '+15005550001': 21212,
  '+15005550007': 21606,
  '+15005550008': 21611,
};

/**
 * The fate of a message, by its number alone:
 * - `+1500555000n`: the vendor's test numbers.
 * - `+1500<five digits of an error code><two of any>`: that error. 2xxxx and 35xxx refuse the
 *   call; 3xxxx and 63xxx are told later, as `undelivered` (carrier or phone) or `failed`.
 * - `+15010…`: stays queued. `+15011…`: sent, without a receipt. `+15012…`: delivered and read.
 * - every other number: sent and delivered.
 */
export function fateOf(number: string): Fate {
  const code = refusedTo[number] ?? Number(/^\+1500(\d{5})\d\d$/.exec(number)?.[1] ?? 0);
  if ((code >= 20_000 && code < 30_000) || (code >= 35_000 && code < 36_000)) {
    return { kind: 'refused', code };
  }
  if ((code >= 30_000 && code < 35_000) || (code >= 63_000 && code < 64_000)) {
    return taken(
      undeliveredCodes.has(code)
        ? [step('sent'), step('undelivered', code)]
        : [step('failed', code)],
    );
  }
  const pattern = patterns.find(({ begins }) => number.startsWith(begins));
  return taken((pattern?.statuses ?? ['sent', 'delivered']).map((status) => step(status)));
}

/** The error that a sender's number stands for, or null. */
export function senderError(number: string): number | null {
  return refusedFrom[number] ?? null;
}

const patterns: { begins: string; statuses: Step['status'][] }[] = [
  { begins: '+15010', statuses: [] },
  { begins: '+15011', statuses: ['sent'] },
  { begins: '+15012', statuses: ['sent', 'delivered', 'read'] },
];

const undeliveredCodes = new Set([30003, 30004, 30005, 30006, 30007, 30008]);

function taken(steps: Step[]): Fate {
  return { kind: 'taken', steps };
}

function step(status: Step['status'], errorCode: number | null = null): Step {
  return { status, delayMs: 0, errorCode };
}
