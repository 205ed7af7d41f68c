export interface SmsSegments {
  encoding: 'gsm7' | 'ucs2';
  /** Septets of GSM-7, or UTF-16 units of UCS-2. */
  units: number;
  /** What the vendor bills and sends one by one; 0 for an empty text. */
  segments: number;
}

// 3GPP TS 23.038, 6.2.1: the default alphabet, without the escape to the extension table.
const basic = new Set(
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
);
// 6.2.1.1: each of these is written as an escape and a character.
const extension = new Set('\f^{}\\[~]|€');

const limits = {
  gsm7: { alone: 160, joined: 153 },
  ucs2: { alone: 70, joined: 67 },
} as const;

/**
 * How many messages of the phone network a text takes. One character outside of GSM-7 makes the
 * whole text UCS-2; parts of a longer text give some of their room to the header that joins them,
 * and no part ends within an escaped character or a surrogate pair.
 */
export function smsSegments(text: string): SmsSegments {
  const characters = Array.from(text);
  const encoding = characters.every((one) => basic.has(one) || extension.has(one))
    ? 'gsm7'
    : 'ucs2';
  const sizes = characters.map((one) =>
    encoding === 'ucs2' ? one.length : extension.has(one) ? 2 : 1,
  );
  const units = sizes.reduce((sum, size) => sum + size, 0);
  const { alone, joined } = limits[encoding];
  const segments = units === 0 ? 0 : units <= alone ? 1 : countParts(sizes, joined);
  return { encoding, units, segments };
}

function countParts(sizes: readonly number[], room: number): number {
  let parts = 1;
  let used = 0;
  for (const size of sizes) {
    if (used + size > room) {
      parts += 1;
      used = 0;
    }
    used += size;
  }
  return parts;
}
