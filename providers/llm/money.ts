// A dollar is a million micros. Vendors write dollars as decimals; they are moved digit by digit,
// because 0.0000005 times a million is not a half in floating point.

/** Dollars as whole micros, halves rounded up; null for what is no amount. */
export function microsOf(dollars: unknown): number | null {
  return scaled(dollars, 6);
}

/** Dollars for one token as micros for a million of them; null for what is no amount. */
export function microsPerMillionOf(dollarsPerToken: unknown): number | null {
  return scaled(dollarsPerToken, 12);
}

const decimal = /^(-?)(\d{1,30})(?:\.(\d{0,60}))?(?:[eE]([+-]?\d{1,3}))?$/;

/** The decimal times ten to the power of `digits`, halves rounded away from zero. */
function scaled(value: unknown, digits: number): number | null {
  const text = typeof value === 'number' ? String(value) : value;
  const parts = typeof text === 'string' ? decimal.exec(text.trim()) : null;
  if (parts === null) {
    return null;
  }
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  // How many of the fraction's digits stand before the point once it is moved.
  const shift = digits + Number(exponent) - fraction.length;
  const unscaled = BigInt(whole + fraction);
  const size = shift >= 0 ? unscaled * 10n ** BigInt(shift) : halfUp(unscaled, -shift);
  const amount = Number(size);
  if (!Number.isSafeInteger(amount)) {
    return null;
  }
  return sign === '-' && amount !== 0 ? -amount : amount;
}

function halfUp(value: bigint, digits: number): bigint {
  const divisor = 10n ** BigInt(digits);
  return (value * 2n + divisor) / (divisor * 2n);
}
